"""Whose tokenizer counts the tokens of a dataset."""

from pathlib import Path

import msgspec
import pytest

from tuning.command_line.options import SplitOptions
from tuning.errors import TuningError
from tuning.tuners.hf.models import smollm2
from tuning.tuners.options import dataset_options


@pytest.fixture
def fetched(settings, monkeypatch) -> list[Path]:
    """Where smollm2 was asked for: a folder that holds a tokenizer and nothing else."""
    asked: list[Path] = []

    def fetch(asking):
        folder = asking.cache_dir / "smollm2"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text("{}")
        asked.append(folder)
        return folder

    monkeypatch.setattr(smollm2, "fetch", fetch)
    return asked


def test_the_base_model_counts_and_is_fetched_for_it_so_that_the_first_run_makes_the_dataset_of_the_later_ones(
    settings, fetched
):
    first = dataset_options(settings, None, SplitOptions(), "smollm2")
    assert first.tokenizer == fetched[0]
    assert dataset_options(settings, None, SplitOptions(), "smollm2").recorded() == first.recorded()


def test_the_length_of_a_tuning_is_no_part_of_its_dataset(settings, fetched):
    assert dataset_options(settings, None, SplitOptions(), "smollm2").max_length == 0


def test_a_tokenizer_that_was_named_counts_in_place_of_the_base_models(settings, fetched, tmp_path):
    assert dataset_options(settings, None, SplitOptions(tokenizer="smollm2")).tokenizer == fetched[0]
    own = tmp_path / "own"
    own.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (own / name).write_text("{}")
    assert dataset_options(settings, None, SplitOptions(tokenizer=str(own)), "smollm2").tokenizer == own
    assert len(fetched) == 1


@pytest.mark.parametrize(("preset", "base_model"), [(None, ""), (None, "tiny"), ("seed", "smollm2")])
def test_without_a_model_that_is_there_before_the_dataset_bytes_are_counted(settings, fetched, preset, base_model):
    assert dataset_options(settings, preset, SplitOptions(), base_model).tokenizer is None
    assert fetched == []


@pytest.mark.parametrize("elsewhere", [{"tuner": "gemini"}, {"target": "gcp"}])
def test_a_model_that_is_trained_elsewhere_is_not_fetched_to_count(settings, fetched, elsewhere):
    changed = msgspec.structs.replace(settings, **elsewhere)
    assert dataset_options(changed, None, SplitOptions(), "smollm2").tokenizer is None
    assert fetched == []


@pytest.mark.parametrize(
    ("preset", "tokenizer", "max_length", "said"),
    [
        (None, "tiny", None, "the model tiny has no tokenizer.json to count tokens with"),
        (None, "no-such-model", None, "there is no base model 'no-such-model'"),
        (None, None, 256, "--max-length needs the tokenizer of a model. Name the model with --tokenizer"),
        ("seed", "smollm2", None, "--preset seed sets --tokenizer itself"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_fetched(settings, fetched, preset, tokenizer, max_length, said):
    with pytest.raises(TuningError) as caught:
        dataset_options(settings, preset, SplitOptions(tokenizer=tokenizer), "smollm2", max_length)
    assert said in str(caught.value)
    assert fetched == []
