"""Leave out the rows that the data team's filters reject. dbt states the reason in a column of the mart."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.arrow import as_indices, integers
from tuning.dataset.funnel import EXAMPLES, DroppedExample, Funnel
from tuning.dataset.rows.pairs import Pair, Rules, clean
from tuning.dataset.snapshot.columns import quality_columns, text_columns
from tuning.warehouse.mart_columns import MartColumns

_STEP = "quality"
_ABOUT = ("example_id", "question_id", "answer_id", "question_url")


def without_rejected(batch: pa.RecordBatch, roles: MartColumns, rules: Rules, funnel: Funnel) -> pa.RecordBatch:
    """Return the rows that no filter rejects, and count the other rows in `funnel`. The preset seed keeps all rows."""
    for name in quality_columns(roles, rules.options):
        reasons = batch.column(name)
        for reason in sorted(set(reasons.drop_null().to_pylist())):
            rejected = batch.filter(pc.equal(reasons, reason))  # without the rows that have no reason
            funnel.drop(_STEP, reason, rejected.num_rows, _examples(rejected, reason, roles, rules, funnel))
        if reasons.null_count < len(reasons):
            batch = batch.filter(reasons.is_null())
    return batch


def _examples(
    rejected: pa.RecordBatch, reason: str, roles: MartColumns, rules: Rules, funnel: Funnel
) -> Iterator[DroppedExample]:
    """Yield those of the rows that the card shows: the ones with the smallest ids, converted and redacted."""
    column = roles.attribution
    first = np.argsort(integers(rejected.column(column["question_id"])), kind="stable")[:EXAMPLES]
    for row in rejected.take(as_indices(first)).to_pylist():
        key = row[column["question_id"]], row[column["answer_id"]]
        if not funnel.shows(_STEP, reason, key):
            return
        title, body, answer = (row[name] or "" for name in text_columns(roles, rules.options)[:3])
        pair = Pair(0, title, body, answer)
        clean([pair], rules)
        about = {name: row[column[name]] for name in _ABOUT if name in column}
        yield DroppedExample.of(about, pair.title, pair.body, pair.answer)
