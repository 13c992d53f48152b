"""Read rows that are written as in nearly all dumps, without an XML parser and in several threads at a time.

Such a row is ``<row Name="value" … />``. An XML parser gives each row to Python, which one thread at a time can run.
Here Arrow divides a block at its quotation marks. A block is read only if all that a parser would check holds for it;
every other block goes to the parser (`xml_rows`).
"""

import functools
import re
from collections.abc import Set
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tuning.sources.tables import text_bytes

# What stands around values: the end of a row, the start of the next one, and the name of an attribute. A prefix or
# "xmlns" in a name would give the row another name. Texts are short, because their meanings are kept.
_AROUND = re.compile(r"( ?/>(?:\r?\n)? {0,8})?(<row)?(?: ([A-Z][A-Za-z]{0,39})=)?")
# "&amp;" comes last, so that "&amp;lt;" becomes "&lt;".
_REFERENCES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#xA;", "\n"))
_RARE_REFERENCES = (
    *(("&apos;", "'"), ("&#xD;", "\r"), ("&#x9;", "\t")),
    *(("&#10;", "\n"), ("&#13;", "\r"), ("&#9;", "\t")),
)
_MOST_AROUND = 300  # different texts around values in a block; official dumps have some 50
_CONTROLS = 0x20  # the first byte that is no control character
_NONCHARACTER = b"\xef\xbf\xbe"  # U+FFFE, which XML forbids like U+FFFF, whose last byte is one more


class _Around(NamedTuple):
    """Say what a text around values means. `breaks` is its number of line feeds and carriage returns."""

    ends: bool
    starts: bool
    name: str
    breaks: int


class _UnusualError(ValueError):
    """A block that is not written as usual, which need not be wrong."""


def read_plain(block: bytes, wanted: Set[str]) -> pa.Table | None:
    """Return the rows of the block, one string column for each attribute of `wanted` that occurs in it.

    A row without the attribute has null. The values are those of an XML parser. Returns None if a parser must read the
    block: it has forbidden characters, other references than those that dumps write, white space at unusual places, or
    is not well-formed.
    """
    try:
        return _read(block, wanted)
    except (_UnusualError, pa.ArrowInvalid):
        return None


def _read(block: bytes, wanted: Set[str]) -> pa.Table:
    offsets = pa.py_buffer(np.array([0, len(block)], np.int32))
    text = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(block))
    text.validate(full=True)  # raises an error if it is not UTF-8
    pieces = pc.split_pattern(text, '"').flatten()
    around = pieces.take(np.arange(0, len(pieces), 2)).dictionary_encode()
    _require(len(around.dictionary) <= _MOST_AROUND)  # each name takes a pass over all values
    meanings = [_meaning(one) for one in around.dictionary.to_pylist()]
    codes = np.asarray(around.indices)
    names = ["", *sorted({one.name for one in meanings} - {""})]
    found = [(one.ends, one.starts, names.index(one.name), one.breaks) for one in meanings]
    ends, starts, numbers, breaks = np.array(found)[codes].T  # a number is that of a name; 0 means that there is none
    # First "<row A=", then " A=" or "/> <row A=", last "/>".
    _require(len(pieces) % 2 == 1 and starts[0] and not ends[0] and ends[-1] and not starts[-1] and not numbers[-1])
    _require(bool(numbers[:-1].all()) and np.array_equal(starts[1:-1], ends[1:-1]))
    _check_bytes(block, less_than_signs=int(starts.sum()), breaks=int(breaks.sum()))
    values = _without_references(pieces.take(np.arange(1, len(pieces), 2)))
    rows = np.cumsum(starts[:-1]) - 1
    places = {name: _places(numbers[:-1] == number, rows) for number, name in enumerate(names) if number}
    _require("Id" in places)
    return pa.table({name: values.take(at) for name, at in places.items() if name in wanted})


def _places(has_name: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]) -> pa.Array:
    """Return for each row the index of the value with the name, or null. Raises _UnusualError if a row has two."""
    at = np.flatnonzero(has_name)
    _require(bool((np.diff(rows[at]) > 0).all()))
    places = np.full(rows[-1] + 1, -1)
    places[rows[at]] = at
    return pa.array(places, mask=places < 0)


@functools.lru_cache(maxsize=4096)
def _meaning(text: str) -> _Around:
    """Return what the text around values means. Raises _UnusualError, which is not kept, for any other text."""
    match = _AROUND.fullmatch(text)
    if match is None:
        raise _UnusualError
    end, start, name = match.groups(default="")
    return _Around(end != "", start != "", name, text.count("\n") + text.count("\r"))


def _check_bytes(block: bytes, less_than_signs: int, breaks: int) -> None:
    """Raise _UnusualError for forbidden characters, and for line breaks, tabs or ``<`` inside values.

    The block is UTF-8. The other arguments are the numbers of these characters around the values.
    """
    numbers = np.frombuffer(block, np.uint8)
    _require(np.count_nonzero(numbers < _CONTROLS) == breaks)
    _require(np.count_nonzero(numbers == ord("<")) == less_than_signs)
    at = np.flatnonzero(numbers == _NONCHARACTER[0])
    _require(not np.any((numbers[at + 1] == _NONCHARACTER[1]) & (numbers[at + 2] >= _NONCHARACTER[2])))


def _without_references(values: pa.StringArray) -> pa.StringArray:
    """Replace the references to characters. Raises _UnusualError if there are others than those that dumps write."""
    for references in (_REFERENCES, _RARE_REFERENCES):
        for reference, character in references:
            values = pc.replace_substring(values, reference, character)
        plain = pc.replace_substring(values, "&amp;", "&")
        before, after = text_bytes(values), text_bytes(plain)
        replaced = (len(before) - len(after)) // len("amp;")
        if replaced == np.count_nonzero(np.frombuffer(before, np.uint8) == ord("&")):
            return plain
    raise _UnusualError


def _require(condition: bool) -> None:
    if not condition:
        raise _UnusualError
