"""Correct one statement before bqemulator translates it, so that the answer is BigQuery's.

The statement is parsed once. Each correction replaces parts of the tree by calls of the functions in `macros`, or
refuses the statement. What sqlglot cannot parse goes to bqemulator as it is, which has its own parsers for some
statements.
"""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from tuning.warehouse.local.sql import aggregates, dates, values
from tuning.warehouse.local.sql.catalog import parsed, table_columns, written
from tuning.warehouse.local.sql.format_text import format_text
from tuning.warehouse.local.sql.functions import refuse_foreign_functions, refuse_foreign_tables
from tuning.warehouse.local.sql.kinds import Kinds
from tuning.warehouse.local.sql.literals import plain_literals
from tuning.warehouse.local.sql.names import (
    group_by_outputs,
    name_fields,
    name_outputs,
    name_unnested_fields,
    number_elements,
)
from tuning.warehouse.local.sql.refusals import refuse

Correction = Callable[[Any], Any]


def corrected(sql: str, project: str, catalog: Any) -> str:
    """Return the statement, corrected. `catalog` knows the tables of all projects.

    Raises InvalidQueryError if the statement is not BigQuery's SQL, or cannot be answered correctly, and NotFoundError
    if a table does not exist.
    """
    try:
        sql = plain_literals(sql)
    except ValueError as error:
        refuse(str(error))
    tree = parsed(sql)
    if tree is None:
        return sql  # bqemulator says what is wrong
    refuse_foreign_functions(sql, tree)
    refuse_foreign_tables(tree)
    if isinstance(tree, exp.Delete) and not tree.this and tree.args.get("tables"):  # DELETE t, without FROM
        tree.set("this", tree.args["tables"][0])
        tree.set("tables", None)
    kinds = Kinds(tree, table_columns(tree, project, catalog))
    name_fields(tree)
    name_outputs(tree)
    name_unnested_fields(tree, kinds)
    number_elements(tree)
    group_by_outputs(tree)
    for select in list(tree.find_all(exp.Select)):
        aggregates.pivot(select)
    for pivot in list(tree.find_all(exp.Pivot)):
        aggregates.unpivot(pivot)
    corrections = _corrections(kinds)
    root = exp.Tuple(expressions=[tree])  # so that the tree itself can be replaced
    for node in reversed(list(tree.walk())):
        correct = corrections.get(type(node))
        if correct is not None and node.find_ancestor(exp.Tuple) is not None:
            made = correct(node)
            if made is not node:
                node.replace(made)
    return written(root.expressions[0])


def _corrections(kinds: Kinds) -> dict[type, Correction]:
    compare: Correction = lambda node: values.compare(node, kinds)  # noqa: E731
    return {
        exp.Cast: values.cast,
        exp.TryCast: values.cast,
        exp.Bracket: lambda node: values.subscript(node, kinds),
        exp.Like: values.like,
        exp.ILike: _refuse_ilike,
        exp.Substring: values.substring,
        exp.Repeat: values.repeat,
        exp.Pad: values.pad,
        exp.Replace: values.replace,
        exp.StrPosition: values.position,
        exp.RegexpExtract: values.regexp_extract,
        exp.RegexpExtractAll: values.regexp_extract,
        exp.RegexpReplace: values.regexp_replace,
        exp.GenerateSeries: lambda node: values.generate(node, kinds),
        exp.Round: lambda node: values.round_half(node, kinds),
        exp.ArraySlice: values.slice_array,
        exp.Sub: lambda node: values.arithmetic(values.subtract(node, kinds), kinds),
        **dict.fromkeys(
            (exp.Add, exp.Mul, exp.Div, exp.SafeDivide, exp.Pow), lambda node: values.arithmetic(node, kinds)
        ),
        exp.Avg: lambda node: values.average(node, kinds),
        exp.Window: lambda node: values.average(aggregates.countif(node), kinds),
        exp.IntDiv: lambda node: values.whole_division(values.divisor(node), kinds),
        exp.Mod: values.divisor,
        exp.ArrayConcat: values.concatenate_arrays,
        exp.GenerateTimestampArray: values.timestamps,
        exp.Trim: values.trim,
        exp.String: dates.zoned_text,
        exp.StrToTime: dates.parse_timestamp,
        exp.Literal: values.number_text,
        exp.DPipe: lambda node: values.concatenate(node, kinds),
        exp.UnixSeconds: values.unix_seconds,
        **dict.fromkeys(
            (exp.JSONExtractScalar, exp.JSONExtractArray, exp.JSONValueArray),
            lambda node: values.valid_json(node, kinds),
        ),
        exp.JSONExtract: lambda node: values.json_part(node, kinds),
        exp.JSONFormat: values.json_text,
        exp.Format: format_text,
        exp.DateTrunc: dates.truncate,
        exp.TimestampTrunc: dates.truncate,
        exp.DatetimeTrunc: dates.truncate,
        exp.DateDiff: dates.difference,
        exp.DatetimeDiff: dates.difference,
        exp.TimestampDiff: dates.elapsed,
        **dict.fromkeys((exp.TimestampAdd, exp.TimestampSub, exp.TimeAdd, exp.TimeSub), dates.shift),
        exp.Extract: lambda node: dates.extract(node, kinds),
        exp.LastDay: dates.last_day,
        exp.TimeToStr: dates.format_time,
        exp.IgnoreNulls: _array_agg_of,
        exp.ArrayAgg: lambda node: node if isinstance(node.parent, exp.IgnoreNulls) else aggregates.array_agg(node),
        exp.ApproxQuantiles: aggregates.approx_quantiles,
        exp.ApproxTopK: aggregates.approx_top_count,
        exp.ApproxTopSum: aggregates.approx_top_sum,
        **dict.fromkeys((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), compare),
    }


def _array_agg_of(node: exp.Expression) -> exp.Expression:
    return aggregates.array_agg(node) if isinstance(node.this, exp.ArrayAgg) else node


def _refuse_ilike(_: exp.Expression) -> exp.Expression:
    refuse("Syntax error: BigQuery has no ILIKE. Use LOWER(a) LIKE LOWER(b)")
