"""Run pass two: collect the kept lines and their attribution from the parts, in the final order, and write them."""

import functools
import re
from collections import Counter

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.arrow import as_indices, content_of, joined
from tuning.dataset.dataset import ATTRIBUTION, FileFacts, Split
from tuning.dataset.split.selection import Selection
from tuning.dataset.workspace.index import Index
from tuning.dataset.workspace.outputs import Outputs
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.parts import Column, Parts
from tuning.progress import progress
from tuning.visible import CHARACTERS, DECEPTIVE

_ROWS = 4096  # number of rows collected at a time; with the seed preset, they come from all parts
# How JSON writes a control character. Tab and line break do not count.
_ESCAPED = re.compile(r"\\u00([01][0-9a-f])|\\[bf]|\\r(?!\\n)")
_SHORT = {r"\b": "\b", r"\f": "\f", r"\r": "\r"}


def write_splits(
    outputs: Outputs, parts: Parts, index: Index, selection: Selection, workers: Workers
) -> tuple[dict[str, FileFacts], Counter[str]]:
    """Write ``train.jsonl``, ``eval.jsonl`` and ``attribution.jsonl``.

    Returns the facts of each by file name, and the number of examples by the deceptive characters in them. Raises
    TuningError if a request to Cloud Storage fails.
    """
    facts = {}
    deceptive: Counter[str] = Counter()
    total = sum(map(len, selection.sides.values()))
    with outputs.open(ATTRIBUTION) as attribution, progress("writing", total, "rows") as advance:
        for split, rows in selection.sides.items():
            name = f"{split}.jsonl"
            gather = functools.partial(_gather, parts, index, selection.groups, split, rows)
            with outputs.open(name) as lines:
                for some in workers.map_in_threads(gather, range(0, len(rows), _ROWS)):
                    lines.append(some.lines, len(some.rows))
                    attribution.append(some.attribution, len(some.rows))
                    deceptive += some.deceptive
                    advance(len(some.rows))
                    parts.were_read(index["part"][some.rows], index["offset"][some.rows])
            facts[name] = lines.facts
    facts[ATTRIBUTION] = attribution.facts
    return facts, deceptive


class _Gathered(msgspec.Struct, frozen=True):
    """Hold consecutive lines of one file and their attribution."""

    lines: pa.Buffer
    attribution: pa.Buffer
    rows: Column
    deceptive: Counter[str]


def _gather(parts: Parts, index: Index, groups: Column, split: Split, rows: Column, first: int) -> _Gathered:
    some = rows[first : first + _ROWS]
    lines, tails = index.blobs(parts, some)
    numbers, group_ids = (
        as_indices(values).cast(pa.string()) for values in (np.arange(first, first + len(some)), groups[some])
    )
    attribution = joined(f'{{"split":"{split}","line":', numbers, ',"group":', group_ids, ",", tails, "\n")
    return _Gathered(content_of(lines), content_of(attribution), some, _deceptive(lines, tails))


def _deceptive(lines: pa.LargeBinaryArray, tails: pa.LargeBinaryArray) -> Counter[str]:
    """Return the number of rows by the deceptive characters in them. Few rows get past the first checks."""
    counts: Counter[str] = Counter()
    for row in np.flatnonzero(_may_deceive(lines) | _may_deceive(tails)).tolist():
        content = (lines[row].as_py() + tails[row].as_py()).replace(rb"\\", b"").decode()
        plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)) if match[1] else _SHORT[match[0]], content)
        counts.update(set(DECEPTIVE.findall(plain)))
    return counts


def _may_deceive(texts: pa.LargeBinaryArray) -> Column:
    """Return for each JSON text whether it may have a deceptive character."""
    import polars as pl  # imported here because it takes memory, and the workers do not need it

    _, offsets, content = texts.buffers()
    strings = pa.LargeStringArray.from_buffers(len(texts), offsets, content, offset=texts.offset)
    series = pl.Series(strings)
    found: Column = np.zeros(len(texts), dtype=bool)
    for suspects, pattern in (
        (series.str.contains_any(["\\u00", *_SHORT, "\x7f"]), r"(?:^|[^\\])(?:\\\\)*\\(?:u00[01]|[bfr])|\x7f"),
        (~pl.Series(pc.string_is_ascii(strings)), CHARACTERS),
    ):
        rows = suspects.arg_true()
        found[rows] |= series[rows].str.contains(pattern).to_numpy()
    return found
