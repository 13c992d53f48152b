"""Find and read the files of a user's own data: JSON Lines, Parquet, Arrow, and folders of Hugging Face datasets.

Rows are read one after another, so memory does not grow with a file.
"""

import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn, cast

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.dataset.own.shapes import Row, ShapeError, read_row
from tuning.errors import TuningError
from tuning.paths import expanded, input_problem, refuse_pipe
from tuning.storage import files_inside
from tuning.values import read_number, shown

_JSON, _PARQUET, _ARROW = (".jsonl", ".json", ".ndjson", ".jsonlines"), (".parquet",), (".arrow",)
_READ = _JSON + _PARQUET + _ARROW
# What describes a dataset and is not part of it: those of `save_to_disk`, and those of this project's datasets.
_METADATA = {"dataset_info.json", "state.json", "dataset_dict.json", "dataset_infos.json", "manifest.json"}
_METADATA |= {"attribution.jsonl", "objects.json"}
# Names of splits in folders: https://huggingface.co/docs/hub/datasets-file-names-and-splits
_SPLIT = re.compile(r"(?:^|[^a-z])(train(?:ing)?|validation|valid|val|dev|test(?:ing)?|eval(?:uation)?)(?:[^a-z]|$)")
_LONGEST_LINE = 64 << 20  # bytes
_ROWS = 64  # of a table that become Python objects at once
# Of a file. More would fill the disk with copies of a few rows, and less leaves hardly a row of a small file.
_LEAST_WEIGHT, _MOST_WEIGHT = 0.1, 100
_USE = "Use JSON Lines (also as .gz), Parquet, or a folder of a Hugging Face dataset"

Side = Literal["train", "eval"]


class Source(msgspec.Struct, frozen=True):
    """Hold one file. `name` is its name or, in a folder, its path from the folder on; it is unique in a dataset."""

    path: Path
    name: str
    side: Side
    weight: float = 1  # how often each row is written to train.jsonl, on average


def find_sources(train: list[str], evaluation: list[str]) -> list[Source]:
    """Return the files of the given paths, in their order. A path of `train` can end in ``=WEIGHT``.

    Of a folder whose files are named by splits, those of the split train count for `train`, and the others for
    `evaluation`. Raises TuningError if a path cannot be read, a folder contains no file, two files have one name, or
    the first record of a file has none of the known shapes.
    """
    sources = [one for text in train for one in _files(*_weighted(text), "train")]
    sources += [one for text in evaluation for one in _files(text, 1, "eval")]
    names: dict[str, Path] = {}
    for source in sources:
        if source.name in names:
            raise TuningError(
                f"{names[source.name]} and {source.path} have the same name, so rows could not be told apart",
                "Give each file once, under a name of its own",
            )
        names[source.name] = source.path
    for source in sources:  # a wrong file is an error before any work is done
        for number, record in islice(records(source), 1):
            read_record(source, number, record)
    return sources


def read_record(source: Source, number: int, record: object) -> Row:
    """Return the record as a row. Raises TuningError, with file and line, if it has none of the known shapes."""
    try:
        return read_row(record)
    except ShapeError as error:
        refuse(source, f"line {number} {error}")


def _weighted(text: str) -> tuple[str, float]:
    """Return the path and the weight, 1 if none is given. Raises TuningError if the weight is out of its range."""
    name, _, number = text.rpartition("=")
    if not name or _exists(text):
        return text, 1
    weight = read_number(number, float)
    if weight is None and not _exists(name):
        return text, 1
    if weight is None or not _LEAST_WEIGHT <= weight <= _MOST_WEIGHT:
        raise TuningError(
            f"--train {shown(text)}: a weight is a number from {_LEAST_WEIGHT} to {_MOST_WEIGHT}, not {shown(number)}",
            "Leave the file out to use none of its rows",
        )
    return name, weight


def _exists(text: str) -> bool:
    with contextlib.suppress(OSError):  # such as a name that is too long
        return expanded(text).exists()
    return False


def _files(text: str, weight: float, side: Side) -> Iterator[Source]:
    path, option = expanded(text), "--train" if side == "train" else "--eval or --data"
    try:
        problem = input_problem(path, folders=True) if text else "is no name of a file"
    except OSError as error:
        problem = f"cannot be used ({error.strerror})"
    if problem:
        raise TuningError(f"{option}: {shown(text)} {problem}")
    if not path.is_dir():
        yield Source(path, path.name, side, weight)
        return
    names = {one: one.relative_to(path).as_posix() for one in files_inside(path, option)}
    found = [one for one in names if _suffix(one) in _READ and one.name not in _METADATA]
    if splits := {one: match[1] for one in found if (match := _SPLIT.search(names[one].lower()))}:
        found = [one for one in found if one in splits and splits[one].startswith("train") == (side == "train")]
    if not found:
        of_split = f" for {'training' if side == 'train' else 'evaluation'}" if splits else ""
        raise TuningError(f"{option}: the folder {shown(text)} has no file{of_split} that can be read", _USE)
    for one in found:
        yield Source(one, f"{path.resolve().name}/{names[one]}", side, weight)


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def records(source: Source) -> Iterator[tuple[int, object]]:
    """Yield each record of the file with its number: that of its line, or of its row in a table, from 1 on.

    Raises TuningError if the file cannot be read, or is damaged.
    """
    try:
        refuse_pipe(source.path)
        with source.path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            if start[:4] == b"PAR1" or _suffix(source.path) in _PARQUET:
                yield from enumerate(_parquet(file), 1)
            elif start[:6] == b"ARROW1" or start[:4] == b"\xff\xff\xff\xff" or _suffix(source.path) in _ARROW:
                yield from enumerate(_arrow(file, is_stream=start[:6] != b"ARROW1"), 1)
            else:
                lines = gzip.GzipFile(fileobj=file) if start[:2] == b"\x1f\x8b" else file
                yield from _json_lines(source, cast(BinaryIO, lines))
    except (pa.ArrowException, OSError, EOFError, zlib.error, ValueError, OverflowError, LookupError) as error:
        # The last three are those of values in tables that Python cannot hold, such as the year 10000.
        reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
        refuse(source, f"cannot be read ({reason})", _USE)


def _json_lines(source: Source, lines: BinaryIO) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE + 1), b""), 1):
        if len(line) > _LONGEST_LINE:
            refuse(source, f"line {number} is longer than {_LONGEST_LINE >> 20} MiB", _USE)
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        if text.lstrip()[:1] == b"[":
            refuse(
                source, f"line {number} begins a list", "Write one object on each line: jq -c '.[]' FILE > FILE.jsonl"
            )
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            refuse(source, f"line {number} is no JSON object ({error.msg})", _USE)
        yield number, record


def _parquet(file: BinaryIO) -> Iterator[object]:
    for batch in pq.ParquetFile(file).iter_batches(batch_size=_ROWS, use_threads=False):
        yield from batch.to_pylist()


def _arrow(file: BinaryIO, *, is_stream: bool) -> Iterator[object]:
    reader = pa.ipc.open_stream(file) if is_stream else pa.ipc.open_file(file)
    for batch in reader if is_stream else map(reader.get_batch, range(reader.num_record_batches)):
        for start in range(0, len(batch), _ROWS):
            yield from batch.slice(start, _ROWS).to_pylist()


def refuse(source: Source, why: str, advice: str = "") -> NoReturn:
    """Raise TuningError for a file."""
    raise TuningError(f"{source.name}: {why}", advice)
