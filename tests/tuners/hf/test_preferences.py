"""Preference tuning on pairs that dbt put into `python_qa_preferences`, from the sample."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.homes import free_port
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.dataset.formats.records import Example
from tuning.dataset.options import resolve_options
from tuning.pipelines.end_to_end import Steps, make_dataset
from tuning.settings import Settings
from tuning.sources.load_sample import load_sample
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import Model, TuneOptions
from tuning.warehouse import emulator
from tuning.warehouse.variables import Variables

TUNER = HfTuner()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """The 95 pairs of the sample as a dataset, of which 26 are held out."""
    settings = Settings(home=tmp_path_factory.mktemp("pairs") / "home", bigquery_port=free_port())
    load_sample(settings)
    yield make_dataset(settings, Variables(), resolve_options(format="trl-preference"), Steps(lambda _: None))
    emulator.stop(settings)


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["adapter", "full"])
def test_preference_tuning_raises_the_margin_of_chosen_over_rejected_on_held_out_pairs(
    pairs: Dataset, local_model: Path, settings: Settings, tmp_path: Path, full: bool
) -> None:
    trained_on, held_out = ({row.group for row in pairs.attributions(split)} for split in ("train", "eval"))
    assert trained_on.isdisjoint(held_out)
    options = TuneOptions(
        base_model=str(local_model), full=full, steps=12, batch_size=4, learning_rate=0.002, max_length=1536
    )
    tuned = TUNER.tune(settings, pairs, options, tmp_path / "out")
    examples = [parse_line("trl-preference", line) for line in pairs.file("eval").read_bytes().splitlines()]
    base = TUNER.base(settings, pairs, options)
    gains = [
        after - before
        for before, after in zip(_margins(settings, base, examples), _margins(settings, tuned, examples), strict=True)
    ]
    assert len(gains) == 26
    # The toy model learns little but the length, and a few rejected answers are nearly as long as the chosen ones.
    assert sum(gain > 0 for gain in gains) >= 24
    how = "all weights" if full else "a LoRA adapter"
    assert f"Preference optimization (DPO) with {how}" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_pairs_are_estimated_to_take_longer_than_answers(pairs: Dataset, settings: Settings) -> None:
    estimate = TUNER.estimate(settings, pairs, TuneOptions(base_model="smollm2"))
    assert estimate.examples == 26 * 4
    assert estimate.seconds > 2 * estimate.tokens / 300


def _margins(settings: Settings, model: Model, examples: list[Example]) -> list[float]:
    """Log-probability of the chosen answer less that of the rejected one."""
    predictor = TUNER.predictor(settings, model)

    def logs(answers: list[str]) -> list[float]:
        asked = [Example(one.prompt, answer) for one, answer in zip(examples, answers, strict=True)]
        return [-loss * tokens for loss, tokens in predictor.losses(asked, 2048) or []]

    chosen, rejected = logs([one.answer for one in examples]), logs([str(one.rejected) for one in examples])
    return [good - bad for good, bad in zip(chosen, rejected, strict=True)]
