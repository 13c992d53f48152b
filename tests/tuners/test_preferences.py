from pathlib import Path

import pytest
from tuner_datasets import helpful, helpless, question, write_dataset

from tuning.dataset.records import Example
from tuning.settings import Settings
from tuning.tuners.hf import HfTuner
from tuning.tuners.protocol import Model, TuneOptions


@pytest.mark.slow
def test_preference_tuning_raises_the_margin_of_chosen_over_rejected_on_held_out_pairs(
    local_model: Path, settings: Settings, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "pairs", "trl-preference", train=60)
    options = TuneOptions(base_model=str(local_model), steps=12, batch_size=4, learning_rate=0.002, max_length=256)
    tuner = HfTuner()
    tuned = tuner.tune(settings, dataset, options, tmp_path / "out")
    base = Model(tuner="hf", base_model=str(local_model), uri=str(local_model))
    gains = [
        after - before
        for before, after in zip(_margins(tuner, settings, base), _margins(tuner, settings, tuned), strict=True)
    ]
    assert all(gain > 0 for gain in gains)
    assert (tmp_path / "out" / "adapter" / "adapter_config.json").exists()
    assert "Preference optimization (DPO) with a LoRA adapter" in (tmp_path / "out" / "README.md").read_text()


def _margins(tuner: HfTuner, settings: Settings, model: Model) -> list[float]:
    """Log-probability of the helpful answer less that of the helpless one, on questions that were not tuned on."""
    numbers = range(1000, 1012)
    predictor = tuner.predictor(settings, model)

    def logs(answers: list[str]) -> list[float]:
        examples = [Example(question(number), answer) for number, answer in zip(numbers, answers, strict=True)]
        return [-loss * tokens for loss, tokens in predictor.losses(examples, 512) or []]

    chosen, rejected = logs([helpful(n) for n in numbers]), logs([helpless(n) for n in numbers])
    return [good - bad for good, bad in zip(chosen, rejected, strict=True)]
