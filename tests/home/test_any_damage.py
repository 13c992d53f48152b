"""Any bytes in place of a file of a home: a command works, or ends with one line that says what to do."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from tests.home.test_damaged_files import COMMANDS, damaged, files_of, result_of
from tests.properties.any_text import attempt
from tuning.dataset.dataset import Attribution, Manifest
from tuning.monitoring.history import Run
from tuning.pipelines.release.record import RunRecord
from tuning.records import FORMAT_VERSION, decode_record, encode_record, read_lines, read_record
from tuning.registry.records import Event, Version
from tuning.settings import Settings
from tuning.tuners.protocol import Model
from tuning.warehouse.emulator import Server

KINDS: dict[str, list[type[Any]]] = {
    "version.json": [Version],
    "model.json": [Model],
    "manifest.json": [Manifest],
    "run.json": [Run, RunRecord],
}
REMEDY = "Run `invoke again`, which makes it again"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def replaced(place: int, length: int, content: bytes) -> Callable[[bytes], bytes]:
    """A change that puts `content` in place of some bytes. The place counts modulo the length of the file."""

    def change(old: bytes) -> bytes:
        start = place % (len(old) + 1)
        return old[:start] + content + old[start + length :]

    return change


def with_value(place: int, value: object) -> Callable[[bytes], bytes]:
    """A change of one value of a JSON object, or of a line of JSON."""

    def change(old: bytes) -> bytes:
        first, *rest = old.splitlines() if old.count(b"\n") > 1 and old.startswith(b'{"') else [old]
        try:
            fields = json.loads(first)
            name = list(fields)[place % len(fields)]
        except (ValueError, TypeError, ZeroDivisionError):
            return as_json(value)
        return b"\n".join([as_json({**fields, name: value}), *rest])

    return change


places = st.integers(0, 1 << 20)
changes = st.one_of(
    st.builds(replaced, places, st.just(1), st.binary(min_size=1, max_size=1)),  # another byte
    st.builds(replaced, places, st.integers(0, 20), st.binary(max_size=20)),  # a cut, an insertion or both
    st.builds(replaced, places, st.just(1 << 20), st.just(b"")),  # the end is cut off
    st.builds(lambda content: lambda old: content, st.binary(max_size=60) | json_values.map(as_json)),
    st.builds(with_value, places, json_values),
)


@given(st.binary(max_size=80) | json_values.map(as_json), st.sampled_from([*KINDS, "server.json", "any"]))
@example(b"", "any")
@example(b"[" * 100_000, "any")
@example(b'{"a":' * 100_000, "version.json")
@example(b'{"format_version": 1e400}', "any")
@example(b'{"format_version": 99999999999999999999999}', "any")
def test_a_record_of_any_bytes_is_read_or_named_in_one_line(content: bytes, name: str) -> None:
    kinds = {**KINDS, "server.json": [Server], "any": [dict, dict[str, Any], list[dict[str, Any]]]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        for kind in kinds[name]:
            check_line(lambda kind=kind: read_record(path, kind, REMEDY), path)
        for line_kind in (Event, Attribution, dict):
            check_line(lambda kind=line_kind: list(read_lines(path, kind, REMEDY)), path)


def check_line(run: Callable[[], object], path: Path) -> None:
    """The call works, or ends with one line that names the file and what to do."""
    _, line = attempt(run)
    assert not line or str(path) in line
    assert not line or REMEDY in line or "newer version of this project" in line


@given(st.dictionaries(st.text(), json_values.filter(lambda value: value == value), max_size=4))
def test_any_record_reads_back(content: dict[str, Any]) -> None:
    content.pop("format_version", None)
    try:
        encoded = encode_record(content)
    except (OverflowError, UnicodeEncodeError):  # numbers beyond 64 bits, which no record has
        return
    assert b"\n" not in encoded
    again = decode_record(encoded, dict[str, Any], "x", REMEDY)
    assert again.pop("format_version") == FORMAT_VERSION
    assert msgspec.json.encode(again, order="sorted") == msgspec.json.encode(content, order="sorted")


def test_commands_survive_any_damage_of_one_file(settings: Settings, old_home: Path) -> None:
    files = [path for path in files_of(old_home) if "weights" not in path.parts]
    before = {path: path.read_bytes() for path in files}
    assert [result_of(run, settings)[1] for run in COMMANDS] == [""] * len(COMMANDS)

    @rules(suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(files), changes)
    def check(path: Path, change: Callable[[bytes], bytes]) -> None:
        with damaged(path, change):
            for run in COMMANDS:
                error = result_of(run, settings)[1]
                assert len(error.splitlines()) <= 1
                assert not error or (str(old_home) in error and re.search("invoke|elete|estore|Update", error)), error

    check()
    assert {path: path.read_bytes() for path in files} == before
