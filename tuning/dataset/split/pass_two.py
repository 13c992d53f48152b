"""Run pass two: collect the kept lines and their attribution from the parts, in the final order, and write them."""

import functools

import msgspec
import numpy as np
import pyarrow as pa

from tuning.dataset.arrow import as_indices, content_of, joined
from tuning.dataset.dataset import ATTRIBUTION, FileFacts, Split
from tuning.dataset.split.selection import Selection
from tuning.dataset.workspace.index import Index
from tuning.dataset.workspace.outputs import Outputs
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.parts import Column, Parts

_ROWS = 4096  # number of rows collected at a time; with the seed preset, they come from all parts


def write_splits(
    outputs: Outputs, parts: Parts, index: Index, selection: Selection, workers: Workers
) -> dict[str, FileFacts]:
    """Write ``train.jsonl``, ``eval.jsonl`` and ``attribution.jsonl``, and return the facts of each by file name.

    Raises TuningError if a request to Cloud Storage fails.
    """
    facts = {}
    with outputs.open(ATTRIBUTION) as attribution:
        for split, rows in selection.sides.items():
            name = f"{split}.jsonl"
            gather = functools.partial(_gather, parts, index, selection.groups, split, rows)
            with outputs.open(name) as lines:
                for some in workers.map_in_threads(gather, range(0, len(rows), _ROWS)):
                    lines.append(some.lines, len(some.rows))
                    attribution.append(some.attribution, len(some.rows))
                    parts.were_read(index["part"][some.rows], index["offset"][some.rows])
            facts[name] = lines.facts
    facts[ATTRIBUTION] = attribution.facts
    return facts


class _Gathered(msgspec.Struct, frozen=True):
    """Hold consecutive lines of one file and their attribution."""

    lines: pa.Buffer
    attribution: pa.Buffer
    rows: Column


def _gather(parts: Parts, index: Index, groups: Column, split: Split, rows: Column, first: int) -> _Gathered:
    some = rows[first : first + _ROWS]
    lines, tails = index.blobs(parts, some)
    numbers, its_groups = (
        as_indices(values).cast(pa.string()) for values in (np.arange(first, first + len(some)), groups[some])
    )
    attribution = joined(f'{{"split":"{split}","line":', numbers, ',"group":', its_groups, ",", tails, "\n")
    return _Gathered(content_of(lines), content_of(attribution), some)
