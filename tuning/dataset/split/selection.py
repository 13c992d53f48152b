"""Select which prepared rows are written to which split, and in which order."""

from dataclasses import dataclass

import numpy as np

from tuning.dataset.dataset import Split
from tuning.dataset.funnel import Funnel
from tuning.dataset.options import DatasetOptions
from tuning.dataset.similar.groups import Groups
from tuning.dataset.split.duplicates import find_duplicates
from tuning.dataset.split.splits import evaluation_side, seed_order, straddling
from tuning.dataset.split.texts import Texts
from tuning.dataset.workspace.index import Index, check_each_once
from tuning.dataset.workspace.parts import Column
from tuning.errors import TuningError

GIVEN = ("given", "evaluation")  # splits that the files of own data decide
_CHOSEN_BY = {"time": "--split-date", "given": "the files of --train and --eval", "evaluation": "the files of --data"}


@dataclass(frozen=True)
class Selection:
    """Hold the rows of each split."""

    groups: Column  # by row of the index: the smallest question id of its group
    sides: dict[Split, Column]  # rows of the index in the order of the lines in the file


def select(index: Index, texts: Texts, options: DatasetOptions, funnel: Funnel) -> Selection:
    """Drop duplicates and split the rows, by groups.

    A split by time can divide a group. Then its training rows are dropped. Dropped and written rows are counted in
    `funnel`. With the seed preset, no rows are dropped. Raises TuningError if a split has no rows, if texts cannot be
    read, or if a question occurs twice with the seed preset.
    """
    groups, linked = Groups(), set()
    for row, links in index.links.items():
        ids = [int(index["question_id"][row]), *links]
        groups.join_all(ids)
        linked.update(ids)
    if options.is_seed:
        check_each_once(index, "question", "question_id")  # the preset's row order needs unique question ids
        train, evaluation = seed_order(options, len(index))
        return _finished(index, groups, {"train": train, "eval": evaluation}, funnel, options)

    is_kept = np.ones(len(index), dtype=np.bool_)
    for duplicate in find_duplicates(index, texts, groups):  # sorted by id, as `Funnel.wants` requires
        is_kept[duplicate.row] = False
        _drop(funnel, "deduplicate", duplicate.reason, texts, duplicate.row, duplicate.of, "{} is kept instead")
    rows = np.flatnonzero(is_kept)
    group = groups.of_all(index["question_id"][rows])
    first = groups.smallest(index["question_id"][rows], linked)
    side = (
        index["is_eval"][rows].astype(np.bool_)
        if options.split in GIVEN
        else evaluation_side(options, first, index["answered_at"][rows], group)
    )
    is_straddling = straddling(side, group)
    known, first_row = np.unique(group[side], return_index=True)
    others = rows[side][first_row[np.searchsorted(known, group[is_straddling])]]
    reason = "training member of a group in evaluation"
    for row, other in zip(rows[is_straddling].tolist(), others.tolist(), strict=True):
        _drop(funnel, "split", reason, texts, row, other, "in one group with {}")
    train = rows[~side & ~is_straddling]
    if options.is_own:
        copies = index["copies"][train]
        funnel.repeated = int((copies - 1).sum())
        train = np.repeat(train, copies)
    return _finished(index, groups, {"train": train, "eval": rows[side]}, funnel, options)


def _drop(funnel: Funnel, step: str, reason: str, texts: Texts, row: int, other: int, detail: str) -> None:
    """Count a dropped row. `detail` says what it has to do with another row, which stays."""
    examples = [texts.dropped(row, detail.format(texts.example_id(other)))] if funnel.wants(step, reason) else []
    funnel.drop(step, reason, 1, examples)


def _finished(
    index: Index, groups: Groups, sides: dict[Split, Column], funnel: Funnel, options: DatasetOptions
) -> Selection:
    for split, rows in sides.items():
        if not len(rows) and not (split == "train" and options.split == "evaluation"):
            chosen_by = _CHOSEN_BY.get(options.split, "--eval-fraction or --seed")
            raise TuningError(f"no example is left for {split}", f"Use more rows, or change {chosen_by}")
        funnel.written[split] = len(rows)
    return Selection(groups.of_all(index["question_id"]), sides)
