import re
from pathlib import Path

import msgspec
import pytest

from tests.tuners.tuner_datasets import helpful, helpless, question, write_examples
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import CHAT_FORMATS
from tuning.dataset.formats.records import Example, Format
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.models.base_models import load_tokenizer
from tuning.tuners.hf.train.recipe import Recipe, make_recipe
from tuning.tuners.hf.train.rows import encode_row, read_examples, read_rows
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions


def test_longer_examples_are_left_out_and_counted(local_model: Path, tmp_path: Path) -> None:
    short = [Example(question(number), helpful(number)) for number in range(30)]
    long = [Example(question(number), helpful(number) * 40) for number in range(7)]
    dataset = write_examples(tmp_path / "set", "messages", short + long, short[:1])
    rows = read_rows(load_tokenizer(local_model), dataset, Recipe(max_length=200), tmp_path / "rows")
    assert (rows.total, rows.too_long, len(rows.train), len(rows.development)) == (37, 7, 29, 1)
    assert max(rows.train["length"]) <= 200


def test_held_out_rows_share_no_group_with_the_training_rows(
    dataset: Dataset, local_model: Path, tmp_path: Path
) -> None:
    grouped = tmp_path / "grouped"
    grouped.mkdir()
    for path in dataset.folder.iterdir():
        (grouped / path.name).write_bytes(path.read_bytes())
    rows = [msgspec.json.decode(line) for line in (grouped / "attribution.jsonl").read_bytes().splitlines()]
    lines = [msgspec.json.encode(row | {"group": row["line"] // 2}) for row in rows]
    (grouped / "attribution.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    read = read_rows(
        load_tokenizer(local_model), Dataset(grouped, dataset.manifest), Recipe(max_length=200), tmp_path / "rows"
    )
    assert len(read.development) == 4  # a twentieth of 80 rows, in whole groups of two
    assert not set(read.development["group"]) & set(read.train["group"])


@pytest.mark.parametrize("format_", CHAT_FORMATS)
def test_formats_with_messages_give_the_same_tokens(format_: Format, local_model: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    example = Example(question(1), helpful(1))
    dataset = write_examples(tmp_path / "set", format_, [example], [example])
    rows = read_rows(tokenizer, dataset, Recipe(), tmp_path / "rows")
    row = rows.train[0]
    assert tokenizer.decode(row["ids"][row["answer_start"] :]) == helpful(1) + "<|im_end|>"


def test_the_notebook_format_asks_in_one_message(local_model: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    example = Example(question(1)[1:], helpful(1))
    dataset = write_examples(tmp_path / "set", "notebook", [example], [example])
    row = read_rows(tokenizer, dataset, Recipe(), tmp_path / "rows").train[0]
    assert f"<|im_start|>user\n{question(1)[1].content}<|im_end|>" in tokenizer.decode(row["ids"])


def test_a_pair_is_as_long_as_its_longer_answer(local_model: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    example = Example(question(1), helpful(1), helpless(1) * 3)
    dataset = write_examples(tmp_path / "set", "trl-preference", [example], [example])
    row = read_rows(tokenizer, dataset, Recipe(), tmp_path / "rows").train[0]
    assert row["length"] == len(row["rejected_ids"]) > len(row["ids"])
    assert tokenizer.decode(row["rejected_ids"][row["answer_start"] :]) == helpless(1) * 3 + "<|im_end|>"


def test_nothing_short_enough_is_one_line(dataset: Dataset, local_model: Path, tmp_path: Path) -> None:
    said = r"none of the 80 training examples has at most 5 tokens\. Raise --max-length: the shortest has \d\d+ tokens$"
    with pytest.raises(TuningError, match=said):
        read_rows(load_tokenizer(local_model), dataset, Recipe(max_length=5), tmp_path / "rows")


def test_a_damaged_line_is_named(dataset: Dataset, local_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in dataset.folder.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    lines = (damaged / "train.jsonl").read_bytes().splitlines()
    (damaged / "train.jsonl").write_bytes(b"\n".join([*lines[:-1], b'{"messages": "none"}']) + b"\n")
    with pytest.raises(TuningError, match="a line does not match the format messages"):
        read_rows(
            load_tokenizer(local_model), Dataset(damaged, dataset.manifest), Recipe(max_length=200), tmp_path / "rows"
        )


def test_an_estimate_counts_tokens_as_the_training_does_if_the_model_is_here(
    dataset: Dataset, local_model: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(local_model)
    lengths = sorted(encode_row(tokenizer, example)["length"] for _, example in read_examples(dataset))
    limit = lengths[len(lengths) // 2]
    options = TuneOptions(base_model=str(local_model), steps=2, batch_size=4, max_length=limit)
    rows = read_rows(tokenizer, dataset, make_recipe(options, preference=False), tmp_path)
    counted = HfTuner().estimate(settings, dataset, options).notes[0]
    assert counted == f"{rows.too_long} of {rows.total} examples have more than {limit} tokens (counted)"
    guessed = HfTuner().estimate(settings, dataset, msgspec.structs.replace(options, base_model="smollm2")).notes[0]
    assert guessed.endswith("(estimated from characters, as smollm2 is not on this machine; the tuning counts them)")
    monkeypatch.setattr("tuning.tuners.hf.estimate.SAMPLE", 10)
    sampled = HfTuner().estimate(settings, dataset, msgspec.structs.replace(options, steps=None, epochs=1))
    assert re.match(rf"\d+ of 10 examples .* \(counted on a sample of {rows.total} examples\)", sampled.notes[0])
    assert 10 < sampled.examples <= rows.total
