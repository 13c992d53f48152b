from pathlib import Path

import msgspec
import pytest

from tests.tuners.hf.templates import STYLES
from tests.tuners.tuner_datasets import helpful, helpless, question, write_dataset, write_examples
from tuning.command_line.options import TuningOptions
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Example, Message
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.preview import preview
from tuning.tuners.protocol import TuneOptions


def test_each_example_shows_the_prompt_and_marks_what_is_learned(
    dataset: Dataset, local_model: Path, settings: Settings
) -> None:
    lines = list(preview(settings, dataset, TuneOptions(base_model=str(local_model)), 2))
    assert lines[0].startswith("the first of 80 training examples in ")
    assert lines[2].startswith("example 1 of 80: ")
    assert lines[3:16] == [
        "  <|im_start|>system",
        "  Answer the question.<|im_end|>",
        "  <|im_start|>user",
        "  How do I use a list?",
        "  ",
        "  Case 0.<|im_end|>",
        "  <|im_start|>assistant",
        "+ Make the list first, then use it:",
        "+ ",
        "+ ```python",
        "+ list = make_list(0)",
        "+ print(list)",
        "+ ```<|im_end|>",
    ]
    assert [line.split(":")[0] for line in lines if line.startswith("example")] == [
        "example 1 of 80",
        "example 2 of 80",
    ]


def test_the_rejected_answer_is_marked_too(local_model: Path, settings: Settings, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pairs", "trl-preference", train=2)
    lines = list(preview(settings, dataset, TuneOptions(base_model=str(local_model)), 1))
    assert " are learned and " in lines[2]
    assert lines[-1] == f"- {helpless(0)}<|im_end|>"
    assert "+ ```<|im_end|>" in lines


def test_notes_name_what_a_reader_could_overlook(local_model: Path, settings: Settings, tmp_path: Path) -> None:
    prompt = (Message("system", "Answer."), Message("user", "Why <|im_end|>?\x1b[2J"))
    short = Example(prompt, "So.")
    dataset = write_examples(tmp_path / "set", "messages", [short], [short])
    folder = tmp_path / "gemma"
    folder.mkdir()
    for path in local_model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "chat_template.jinja").write_text(STYLES["gemma 2"].template)
    lines = list(preview(settings, dataset, TuneOptions(base_model=str(folder), max_length=200), 5))
    assert lines[1] == f"note: {folder} knows no system message, so the instruction is put before the question"
    assert lines[4] == "note: the post contains <|im_end|>, which is encoded as text"
    assert "  Why <|im_end|>?\\x1b[2J<end_of_turn>" in lines


@pytest.mark.parametrize(
    ("count", "shown", "said"),
    [
        (1, ["2"], "1 before the last one"),
        (2, ["2", "4"], "2 before the last one"),
        (9, ["2", "4"], "3 of the others"),
    ],
)
def test_only_examples_that_the_training_takes_are_shown(
    local_model: Path, settings: Settings, tmp_path: Path, count: int, shown: list[str], said: str
) -> None:
    prompt = (Message("system", "Answer."), Message("user", "Why?"))
    long, short = Example(prompt, "So. " * 99), Example(prompt, "So.")
    dataset = write_examples(tmp_path / "set", "messages", [long, short, long, short, long], [short])
    options = TuneOptions(base_model=str(local_model), max_length=60)
    lines = list(preview(settings, dataset, options, count))
    assert [line.split()[1] for line in lines if line.startswith("example ")] == shown
    why = "the training leaves out, because they have more than 60 tokens (--max-length)"
    assert lines[-1] == f"note: examples that {why}: {said}"
    with pytest.raises(TuningError, match=r"none of the 5 training examples has at most 5 tokens\. Raise --max-length"):
        list(preview(settings, dataset, msgspec.structs.replace(options, max_length=5), count))


@pytest.mark.parametrize("format_", ["gemini", "gemini-preference"])
def test_gemini_shows_turns(format_: str, settings: Settings, tmp_path: Path) -> None:
    rejected = helpless(1) if format_ == "gemini-preference" else None
    example = Example(question(1), helpful(1), rejected)
    dataset = write_examples(tmp_path / "set", format_, [example], [example])  # type: ignore[arg-type]
    lines = list(preview(msgspec.structs.replace(settings, tuner="gemini"), dataset, TuneOptions(), 1))
    assert lines[1:5] == ["\nexample 1 of 1", "  [system]", "  Answer the question.", "  [user]"]
    assert "  [model]" in lines
    assert f"+ {helpful(1).splitlines()[0]}" in lines
    assert [line for line in lines if line.startswith("- ")] == ([f"- {rejected}"] if rejected else [])


def test_the_command_trains_nothing(dataset: Dataset, local_model: Path, settings: Settings) -> None:
    from tuning.pipelines.end_to_end import Given, preview_all

    settings.datasets_dir.mkdir(parents=True)
    (settings.datasets_dir / dataset.id).symlink_to(dataset.folder)
    lines: list[str] = []
    given = Given(tuning=TuningOptions(base_model=str(local_model)), dataset_id=dataset.id)
    preview_all(settings, given, lines.append, 1)
    assert len([line for line in lines if line.startswith("example ")]) == 1
    assert sorted(path.name for path in settings.home.iterdir()) == ["datasets"]
    with pytest.raises(TuningError, match="--preview takes a number of at least 1"):
        preview_all(settings, given, lines.append, 0)
