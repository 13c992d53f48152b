"""Read benchmark files as they are published, one item at a time.

A file is JSON Lines, a JSON or YAML document (an item, a list of items, an object that contains one, or columns),
Parquet, Arrow, CSV or plain text. Other than Parquet and Arrow, it can be compressed with gzip. A folder stands for all
its files. At most 64 MiB are read at a time, and at most a million lines or 2 GiB in all, so a damaged or hostile file
is an error instead of a full memory.
"""

import contextlib
import csv
import gzip
import html
import io
import itertools
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

import orjson

from tuning.dataset.markdown.fences.content import language_of
from tuning.errors import TuningError
from tuning.storage import files_inside

_AT_ONCE = 64 << 20  # most bytes of a line or of a JSON document
_IN_ALL = 2 << 30  # most bytes of a file, after decompression
_LINES = 1_000_000
_JSON = frozenset({".json", ".jsonl", ".jsonlines", ".ndjson"})
_ARROW, _YAML = frozenset({".arrow", ".feather"}), frozenset({".yaml", ".yml"})
_SUFFIXES = _JSON | _ARROW | _YAML | {".parquet", ".csv", ".tsv", ".txt", ".md", ".py", ".html", ".htm", ".ipynb"}
_ARCHIVES = frozenset({".7z", ".bz2", ".lz4", ".rar", ".tar", ".tbz2", ".tgz", ".txz", ".xz", ".zip", ".zst"})
_TABLES = {".avro", ".h5", ".hdf5", ".npy", ".npz", ".ods", ".orc", ".tfrecord", ".xls", ".xlsx"}
_UNREAD = _ARCHIVES | _TABLES | {".db", ".docx", ".duckdb", ".pickle", ".pkl", ".sqlite", ".sqlite3", ".xml"}
_IS_ARCHIVE = re.compile(
    rb"PK\x03\x04|7z\xbc\xaf|BZh[1-9]1AY|\xfd7zXZ|\x28\xb5\x2f\xfd|Rar!\x1a|.{257}ustar", re.DOTALL
)
_POINTER = b"version https://git-lfs"
_START = 512  # bytes that show what kind of file it is
_ROWS = 64  # rows of a table that become Python objects at once
_DELIMITERS = ",;\t|"  # of CSV
_DEPTH = 100  # of YAML, whose parser becomes slow
_SAMPLE, _SAMPLE_SIZE = 50, 1 << 20  # lines and characters that show the delimiter
_WORDS_OF_NAME = 4  # a name of a column does not have more words
_TEXT = frozenset({".txt", ""})  # text whose lines or blocks are items; the text of other files is one item
_BROKEN = object()
# What PyYAML and pyarrow raise for a value that Python cannot represent, such as a date in the year 300,000.
_WRONG_VALUE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)
_MARK = re.compile(
    r"\s*(?:(?:[-*\u2022]|\d+(?=\t)|(?:Q(?:uestion)?\s*)?\(?\d+\s*[.):]|Q(?:uestion)?\s*:)\s+)?", re.IGNORECASE
)
_TAG = re.compile(r"<(?:/?[a-z][\w:-]*(?:\s[^<>]*)?/?|![^<>]*)>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-z]\w*|#\d+|#x[0-9a-f]+);", re.IGNORECASE)
_BLANK = re.compile(r"\n[ \t]*\n")
# Values under these keys are not part of an exam: where an item comes from, and the input and output of its tests.
_SOURCE = {"id", "task_id", "question_id", "problem_id", "url", "link", "source_file", "file_name", "license", "author"}
_TESTS = {"input_output", "test_cases", "public_test_cases", "private_test_cases", "generated_tests", "entry_point"}
_LEFT_OUT = _SOURCE | _TESTS


def benchmark_files(path: Path) -> list[Path]:
    """Return the file, or all files in the folder that can be a benchmark, sorted by path.

    Raises TuningError if there is none, or if a file in the folder can hold items and is not read.
    """
    if path.is_file():
        return [path]
    inside = [file for file in files_inside(path, "--decontaminate", hidden=True) if not _is_metadata(file)]
    for file in inside:
        if _suffix(file) in _UNREAD and not any(part.startswith(".") for part in file.relative_to(path).parts):
            advice = "Unpack it or convert it to Parquet or JSON Lines, and take the file itself out of the folder"
            raise TuningError(f"--decontaminate: {file} cannot be read, so its items would not be found", advice)
    files = [file for file in inside if _suffix(file) in _SUFFIXES or file.suffix.lower() == ".gz"]
    if not files:
        raise TuningError(f"--decontaminate: there is no benchmark file in {path}", "Name a file, or a folder of files")
    return [file for file in files if file.name.partition(".")[0] not in _LEFT_OUT]


def left_out(path: Path) -> list[str]:
    """Return the files in a folder that are not read as a benchmark, sorted, without hidden ones and metadata."""
    if path.is_file():
        return []
    read = set(benchmark_files(path))
    files = [file for file in files_inside(path, "--decontaminate") if file not in read and not _is_metadata(file)]
    return sorted(str(file.relative_to(path)) for file in files)


def items_of(path: Path) -> Iterator[list[str]]:
    """Yield the texts of each item in the file. Raises TuningError if the file cannot be read."""
    try:
        with path.open("rb") as file:
            yield from map(_texts, _opened(path, file))
    except (OSError, EOFError, zlib.error) as error:
        _refuse(path, f"cannot be read ({error})")
    except UnicodeDecodeError:
        _refuse(path, "is not UTF-8 text")


def _opened(path: Path, file: io.BufferedReader) -> Iterator[object]:
    suffix, content = _suffix(path), cast(io.BufferedReader | gzip.GzipFile, file)
    start = file.peek(_START)[:_START]
    if start[:2] == b"\x1f\x8b":
        content = gzip.GzipFile(fileobj=file)
        start = content.peek(_START)[:_START]
    if _IS_ARCHIVE.match(start) or suffix in _ARCHIVES:
        _refuse(path, "is an archive, or compressed by another program than gzip", "Unpack it first")
    if start.startswith(_POINTER):
        _refuse(path, "only points to a file in Git LFS", "Run git lfs pull")
    if start[:4] == b"PAR1" or suffix == ".parquet":
        return _parquet(path)
    if start[:6] == b"ARROW1" or start[:4] == b"\xff\xff\xff\xff" or suffix in _ARROW:
        return _arrow(path, is_stream=start[:6] != b"ARROW1")
    return _records(path, _Limited(path, content))


def _refuse(path: Path, why: str, advice: str = "") -> NoReturn:
    usable = "Use JSON Lines, JSON, YAML, Parquet, Arrow, CSV or text in UTF-8, plain or compressed with gzip"
    raise TuningError(f"--decontaminate: {path} {why}", advice or usable)


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _is_metadata(path: Path) -> bool:
    """Return whether the file describes a dataset that `save_to_disk` of Hugging Face wrote."""
    return path.name in ("dataset_info.json", "state.json") and (path.parent / "dataset_info.json").is_file()


class _Limited:
    """Read the lines of a file within the limits."""

    def __init__(self, path: Path, file: io.BufferedIOBase) -> None:
        self.path, self._file, self._left, self.number = path, file, _IN_ALL, 0

    def line(self) -> bytes:
        """Return the next line, or nothing at the end."""
        line = self._file.readline(_AT_ONCE + 1)
        self.number += 1
        self._left -= len(line)
        if len(line) > _AT_ONCE:
            _refuse(self.path, f"line {self.number} is longer than {_AT_ONCE >> 20} MiB")
        if self._left < 0 or self.number > _LINES:
            _refuse(self.path, f"has more than {_LINES:,} lines or {_IN_ALL >> 30} GiB")
        return line

    def rest(self, first: bytes) -> bytes:
        """Return what was read first and all that is left."""
        content = first + self._file.read(_AT_ONCE + 1 - len(first))
        if len(content) > _AT_ONCE:
            _refuse(self.path, f"is one document of more than {_AT_ONCE >> 20} MiB")
        return content

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.line, b"")


def _records(path: Path, lines: _Limited) -> Iterator[object]:
    suffix = _suffix(path)
    if suffix in (".csv", ".tsv"):
        yield from _csv(lines)
        return
    if suffix in _YAML:
        yield from _yaml(path, lines.rest(b""))
        return
    full = (line for line in lines if line.strip())
    first, blank, second = next(full, b"").removeprefix(b"\xef\xbb\xbf"), b"", b""
    for line in lines:
        if line.strip():
            second = line
            break
        blank = b"\n"  # blocks end here
    if not first.strip():
        _refuse(path, "is empty")
    record, following = _parsed(first), _parsed(second)
    is_text = suffix not in _JSON and second and not (_is_item(record) and _is_item(following))
    if record is _BROKEN or is_text:
        content = lines.rest(first + blank + second)
        if (document := _parsed(content)) is not _BROKEN:
            yield from _items_in(document)
        elif suffix in _JSON:
            _refuse(path, "is not valid JSON")
        else:
            yield from _items_in_text(content.decode(), has_items=suffix in _TEXT)
    elif not second:
        yield from _items_in(record)
    else:
        yield record
        for line in itertools.chain([second], full):
            if (record := _parsed(line)) is _BROKEN:
                _refuse(path, f"line {lines.number} is not valid JSON")
            yield record


def _parsed(content: bytes) -> object:
    """Return the JSON value, or `_BROKEN`. Python's own parser accepts NaN, which published files contain."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            return json.loads(content) if b"NaN" in content or b"Infinity" in content else _BROKEN
        except (ValueError, RecursionError):
            return _BROKEN


def _is_item(value: object) -> bool:
    return isinstance(value, dict | list)


def _items_in_text(text: str, *, has_items: bool) -> Iterator[str]:
    """Yield the blocks between blank lines, or each line if there is no blank line, without numbers and bullets.

    A block of which each line is a question has an item per line. A program is one item: its lines alone, such as
    imports, say nothing about it.
    """
    if not has_items or (language_of(text) and _begins_with_code(text)):
        yield text
        return
    blocks = [block for block in _BLANK.split(text.replace("\r\n", "\n").strip()) if block.strip()]
    for block in blocks:
        lines = [line for line in block.split("\n") if line.strip()]
        are_items = len(blocks) == 1 or all(line.rstrip().endswith("?") for line in lines)
        for item in lines if are_items else [block]:
            yield item[_end_of_mark(item) :]


def _begins_with_code(text: str) -> bool:
    """Return whether the first block is code or a comment. Prose before code is a question of several."""
    first = _BLANK.split(text.strip(), maxsplit=1)[0]
    return first[:1] in tuple("#\"'") or language_of(first) != ""


def _end_of_mark(item: str) -> int:
    mark = _MARK.match(item)
    return mark.end() if mark else 0


def _items_in(document: object) -> Iterator[object]:
    """Yield the items of a document: of a list, of the lists of objects in an object, of an object by id, of columns.

    An object that contains no items is one item.
    """
    waiting = [document]
    while waiting:
        match waiting.pop():
            case list() as items:
                yield from items
            case dict() as fields if (columns := _columns(fields)) is not None:
                yield from columns
            case dict() as fields:
                is_by_id = all(isinstance(one, dict) for one in fields.values())
                nested = {name: one for name, one in fields.items() if is_by_id or _has_items(one)}
                waiting += [one for name, one in nested.items() if str(name).lower() not in _LEFT_OUT][::-1]
                if rest := {name: one for name, one in fields.items() if name not in nested}:
                    yield rest
            case other:
                yield other


def _columns(fields: dict[str, object]) -> list[object] | None:
    """Return the rows of a table that is written as columns, as pandas and datasets write it, or None."""
    columns = list(fields.values())
    if set(fields) >= {"columns", "data"} and isinstance(rows := fields["data"], list):  # pandas' orient="split"
        return rows if all(isinstance(row, list) for row in rows) else None
    if all(isinstance(column, dict) and column and all(str(name).isdecimal() for name in column) for column in columns):
        columns = [list(column.values()) for column in columns if isinstance(column, dict)]
    lists = [column for column in columns if isinstance(column, list)]
    if not lists or len(lists) < len(columns) or any(_has_items(column) for column in lists):
        return None
    if len({len(column) for column in lists}) > 1:  # lists of items, such as the splits of a benchmark
        return list(itertools.chain.from_iterable(lists))
    return [dict(zip(fields, row, strict=True)) for row in zip(*lists, strict=True)]


def _has_items(value: object) -> bool:
    """Return whether the value is a list of objects, or an object that contains objects or such lists."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict)
    return isinstance(value, dict) and any(isinstance(one, dict) or _has_items(one) for one in value.values())


def _csv(lines: _Limited) -> Iterator[object]:
    csv.field_size_limit(_AT_ONCE)
    texts = (line.decode("utf-8-sig") for line in lines)
    try:
        first: list[str] = []
        while len(first) < _SAMPLE and sum(map(len, first)) < _SAMPLE_SIZE and (text := next(texts, "")):
            first.append(text)
        rows = csv.DictReader(itertools.chain(first, texts), delimiter=_delimiter(first))
        if any(name.count(" ") >= _WORDS_OF_NAME for name in rows.fieldnames or ()):  # there are no names of columns
            yield list(rows.fieldnames or ())
        yield from rows
    except csv.Error as error:
        _refuse(lines.path, f"line {lines.number} is not valid CSV ({error})")


def _delimiter(lines: list[str]) -> str:
    """Return the delimiter that divides the most rows into as many columns as the first one, and into at least two."""

    def rows_of_a_table(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        columns = widths[0] if widths else 0
        return (widths.count(columns) / len(widths), columns) if columns > 1 else (0, 0)

    return max(_DELIMITERS, key=rows_of_a_table)


def _yaml(path: Path, content: bytes) -> Iterator[object]:
    import yaml

    loader, text, depth = getattr(yaml, "CSafeLoader", yaml.SafeLoader), content.decode("utf-8-sig"), 0
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEPTH:
                _refuse(path, "is not valid YAML (it is nested too deeply)")
            if isinstance(event, yaml.AliasEvent):
                _refuse(path, "contains references (*name), which can stand for any amount of text")
        documents = list(yaml.load_all(text, Loader=loader))
    except (yaml.YAMLError, *_WRONG_VALUE) as error:
        _refuse(path, f"is not valid YAML ({error})")
    for document in documents:
        yield from _items_in(document)


def _arrow(path: Path, *, is_stream: bool) -> Iterator[object]:
    import pyarrow as pa

    with _valid(path, "Arrow"), pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_stream(source) if is_stream else pa.ipc.open_file(source)
        for batch in reader if is_stream else map(reader.get_batch, range(reader.num_record_batches)):
            batch.validate(full=True)
            for start in range(0, len(batch), _ROWS):
                yield from batch.slice(start, _ROWS).to_pylist()


def _parquet(path: Path) -> Iterator[object]:
    import pyarrow.parquet as pq

    with _valid(path, "Parquet"), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS):
            yield from batch.to_pylist()


@contextlib.contextmanager
def _valid(path: Path, form: str) -> Iterator[None]:
    """Raise TuningError if the block cannot read the table in the file."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:  # one of Arrow's own errors is also a MemoryError
        raise
    except (pa.ArrowException, *_WRONG_VALUE) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        _refuse(path, f"is not a valid {form} file ({reason})")


def _texts(item: object) -> list[str]:
    """Return all texts in an item. A text that is itself a JSON list or object is taken apart.

    A text with HTML tags or entities is there twice: as it is, and without them, as in posts.
    """
    found, waiting = [], [item]
    while waiting:
        match waiting.pop():
            case str() as text:
                value = _parsed(text.encode(errors="surrogatepass")) if text[:1] in ("[", "{") else _BROKEN
                if isinstance(value, list | dict):
                    waiting.append(value)
                else:
                    found.append(text)
                    if (plain := _ENTITY.sub(lambda entity: html.unescape(entity[0]), _TAG.sub(" ", text))) != text:
                        found.append(plain)
            case bytes() as content:  # binary columns of tables can contain text
                with contextlib.suppress(UnicodeDecodeError):
                    waiting.append(content.decode())
            case list() as values:
                waiting += values[::-1]
            case tuple((name, value)):  # an entry of a map in a table
                waiting += [value] if str(name).lower() not in _LEFT_OUT else []
            case {"cell_type": _, "source": list() as lines}:  # of a notebook
                waiting.append("".join(map(str, lines)))
            case dict() as fields:
                waiting += [value for name, value in fields.items() if str(name).lower() not in _LEFT_OUT][::-1]
    return found
