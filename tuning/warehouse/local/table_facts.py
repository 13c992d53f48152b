"""Remember what CREATE TABLE says about a table: partitioning by a function or a range, clustering and labels.

bqemulator keeps only ``PARTITION BY column`` and the description, so INFORMATION_SCHEMA and the API would be wrong.
"""

from collections.abc import Callable
from typing import Any

from bqemulator.catalog import ddl_sync
from bqemulator.catalog.models import Clustering, RangePartitioning, TimePartitioning
from sqlglot import exp

from tuning.warehouse.local.sql.catalog import parsed

Sync = Callable[[str, str, Any], None]
_PSEUDO_COLUMNS = ("_PARTITIONDATE", "_PARTITIONTIME")


def remembering(sync: Sync) -> Sync:
    """Return `sync`, bqemulator's function that puts a created table into the catalog, with the facts added."""

    def remember(sql: str, project: str, context: Any) -> None:
        sync(sql, project, context)
        tree, target = parsed(sql), ddl_sync.__dict__["_detect_plain_create_table"](sql)
        properties = tree.args.get("properties") if isinstance(tree, exp.Create) else None
        if target is None or properties is None:
            return
        meta = context.catalog.get_table(*ddl_sync.__dict__["_split_target"](target, project))
        facts = _facts(properties, meta.time_partitioning) if meta is not None else {}
        if facts:
            context.catalog.update_table(meta.model_copy(update=facts))

    return remember


def _facts(properties: exp.Properties, known: TimePartitioning | None) -> dict[str, Any]:
    """Return the fields of bqemulator's record of a table. `known` has the options of the partitioning."""
    facts: dict[str, Any] = {}
    for one in properties.expressions:
        if isinstance(one, exp.PartitionedByProperty):
            facts |= _partitioning(one.this, known or TimePartitioning())
        elif isinstance(one, exp.ClusterProperty):
            facts["clustering"] = Clustering(fields=tuple(column.name for column in one.expressions))
        elif isinstance(one, exp.Property) and one.name.lower() == "labels":
            pairs = [pair.expressions for pair in one.args["value"].expressions]
            facts["labels"] = {name.name: value.name for name, value in pairs}
    return facts


def _partitioning(rule: exp.Expression, known: TimePartitioning) -> dict[str, Any]:
    column = rule.find(exp.Column)
    if column is None or column.name.upper() in _PSEUDO_COLUMNS:
        return {}
    if isinstance(rule, exp.RangeBucket):
        start, end, step = (int(rule.expression.args[name].name) for name in ("start", "end", "step"))
        return {"range_partitioning": RangePartitioning(field=column.name, start=start, end=end, interval=step)}
    unit = rule.args.get("unit")
    return {
        "time_partitioning": known.model_copy(
            update={"field": column.name, "type": unit.name.upper() if unit is not None else "DAY"}
        )
    }


def unpartitioned(listed: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Return `listed`, bqemulator's list of the one partition of a table without any, with NULL as its ID."""
    return lambda *arguments: tuple(one.model_copy(update={"partition_id": None}) for one in listed(*arguments))
