"""Which of the prepared rows are written, on which side, in which order."""

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


@dataclass(frozen=True)
class Selection:
    groups: Column  # by row of the index: the smallest question id of its group
    sides: dict[Split, Column]  # rows of the index in the order of their file


def select(index: Index, texts: Texts, options: DatasetOptions, funnel: Funnel) -> Selection:
    """Drop duplicates, divide, and drop the training members of groups that stand on both sides; all counted."""
    groups = Groups()
    for row, links in index.links.items():
        groups.join_all([int(index["question_id"][row]), *links])
    if options.is_seed:
        check_each_once(index, "question", "question_id")  # the seed's order is one of questions
        train, evaluation = seed_order(options, len(index))
        return _finished(index, groups, {"train": train, "eval": evaluation}, funnel)

    stays = np.ones(len(index), dtype=np.bool_)
    for duplicate in find_duplicates(index, texts, groups):  # by row, so that the first are those of the smallest ids
        stays[duplicate.row] = False
        detail = f"{index['question_id'][duplicate.of]}-{index['answer_id'][duplicate.of]} stays"
        _drop(funnel, "deduplicate", duplicate.reason, texts, duplicate.row, detail)
    rows = np.flatnonzero(stays)
    group = groups.of_all(index["question_id"][rows])
    side = evaluation_side(options, index["question_id"][rows], index["answered_at"][rows], group)
    torn = straddling(side, group)
    for row, its_group in zip(rows[torn].tolist(), group[torn].tolist(), strict=True):
        _drop(funnel, "split", "training member of a group in evaluation", texts, row, f"group {its_group}")
    return _finished(index, groups, {"train": rows[~side & ~torn], "eval": rows[side]}, funnel)


def _drop(funnel: Funnel, step: str, reason: str, texts: Texts, row: int, detail: str) -> None:
    funnel.drop(step, reason, 1, [texts.dropped(row, detail)] if funnel.wants(step, reason) else [])


def _finished(index: Index, groups: Groups, sides: dict[Split, Column], funnel: Funnel) -> Selection:
    for split, rows in sides.items():
        if not len(rows):
            raise TuningError(
                f"no example is left for {split}", "Take more rows, or another --eval-fraction or --split-date"
            )
        funnel.written[split] = len(rows)
    return Selection(groups.of_all(index["question_id"]), sides)
