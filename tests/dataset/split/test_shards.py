"""The Parquet files beside the JSON Lines: the same rows, the same bytes each time, and off unless asked for."""

from pathlib import Path

import datasets
import orjson
import pyarrow.parquet as pq
import pytest

from tests.dataset.folders import fingerprint
from tests.marts import preference_row, row, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset, FileFacts
from tuning.dataset.formats.records import FORMATS, PREFERENCE_FORMATS, Format
from tuning.dataset.options import resolve_options
from tuning.dataset.split.shards import write_shards
from tuning.dataset.workspace.outputs import FolderOutputs
from tuning.settings import Settings
from tuning.storage import sha256_of


def made(home: Path, format_: Format, *, parquet: bool) -> Dataset:
    kind, one = ("preferences", preference_row) if format_ in PREFERENCE_FORMATS else ("instructions", row)
    snapshot = write_snapshot(home / "snapshot", [one(number) for number in range(120)], kind=kind)  # type: ignore[arg-type]
    return create_dataset(Settings(home=home), snapshot, resolve_options(format=format_, parquet=parquet), 1)


@pytest.mark.parametrize("format_", FORMATS)
def test_load_dataset_reads_the_rows_of_the_lines(tmp_path: Path, format_: Format) -> None:
    dataset = made(tmp_path, format_, parquet=True)
    for split in ("train", "eval"):
        path = dataset.folder / f"{split}-00000-of-00001.parquet"
        loaded = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "hf"))
        lines = [orjson.loads(line) for line in dataset.file(split).read_bytes().splitlines()]
        assert list(loaded) == lines
        facts = dataset.manifest.files[path.name]
        assert facts == FileFacts(len(lines), path.stat().st_size, sha256_of(path))


def test_the_bytes_are_the_same_each_time_and_without_the_option_nothing_changes(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one", "messages", parquet=True), made(tmp_path / "two", "messages", parquet=True)
    assert fingerprint(one.folder) == fingerprint(other.folder)
    plain = made(tmp_path / "three", "messages", parquet=False)
    assert "pyarrow" in one.manifest.versions.keys() - plain.manifest.versions.keys()
    assert "parquet" not in plain.manifest.options
    assert plain.id != one.id
    assert sorted(path.name for path in plain.folder.glob("*.parquet")) == []
    same = fingerprint(one.folder)
    for name in ("train.jsonl", "eval.jsonl", "attribution.jsonl", "NOTICE.md"):
        assert same[name] == fingerprint(plain.folder)[name]


def test_many_lines_become_several_files_of_several_row_groups(tmp_path: Path) -> None:
    outputs = FolderOutputs(tmp_path)
    lines = b"".join(orjson.dumps({"input_text": f"Q{n}", "output_text": "A"}) + b"\n" for n in range(5000))
    (tmp_path / "train.jsonl").write_bytes(lines)
    outputs.sources["train.jsonl"] = tmp_path / "train.jsonl"
    shards = write_shards(outputs, "train", "text-bison", FileFacts(5000, len(lines), ""), shard=len(lines) // 2 - 1)
    assert list(shards) == [f"train-{number:05}-of-00003.parquet" for number in range(3)]
    assert [facts.rows for facts in shards.values()] == [1667, 1667, 1666]
    assert pq.ParquetFile(tmp_path / "train-00000-of-00003.parquet").num_row_groups == 2
    texts = [text for name in shards for text in pq.read_table(tmp_path / name).column("input_text").to_pylist()]
    assert texts == [f"Q{number}" for number in range(5000)]
