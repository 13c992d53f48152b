"""Correct aggregate functions: ARRAY_AGG with all its clauses, approximate aggregates, PIVOT with aliases, UNPIVOT."""

from sqlglot import exp

from tuning.warehouse.local.sql.dates import call, number
from tuning.warehouse.local.sql.refusals import refuse_unsupported


def array_agg(node: exp.Expression) -> exp.Expression:
    """Write ARRAY_AGG's IGNORE NULLS and LIMIT with the clauses that DuckDB has: FILTER and a slice."""
    ignore = isinstance(node, exp.IgnoreNulls)
    aggregate = node.this if isinstance(node, (exp.IgnoreNulls, exp.RespectNulls)) else node
    inner = aggregate.this
    limit = None
    if isinstance(inner, exp.Limit):
        limit, inner = inner.expression, inner.this
    if not ignore and limit is None:
        return node
    value = inner
    while isinstance(value, (exp.Order, exp.Distinct)):
        value = value.this if isinstance(value, exp.Order) else value.expressions[0]
    made: exp.Expression = exp.ArrayAgg(this=inner.copy())
    if ignore:
        made = exp.Filter(
            this=made, expression=exp.Where(this=exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null())))
        )
    return made if limit is None else call("list_slice", made, number(1), limit.copy())


def countif(function: exp.Window) -> exp.Window:
    """Write COUNTIF over a window as COUNT. bqemulator would put the OVER behind a COALESCE."""
    if isinstance(condition := function.this, exp.CountIf):
        condition.replace(exp.Count(this=exp.If(this=condition.this.copy(), true=number(1))))
    return function


def approx_quantiles(node: exp.Expression) -> exp.Expression:
    """Write APPROX_QUANTILES as exact quantiles."""
    parts = node.expression
    if not (isinstance(parts, exp.Literal) and parts.this.isdigit() and 0 < int(parts.this) <= 10_000):
        refuse_unsupported("APPROX_QUANTILES with a computed number of quantiles", "Write the number")
    count = int(parts.this)
    fractions = exp.Array(expressions=[exp.Literal.number(repr(step / count)) for step in range(count + 1)])
    value = node.this
    if isinstance(value, (exp.IgnoreNulls, exp.RespectNulls)):
        value = value.this
    return call("quantile_disc", value, fractions)


def approx_top_count(node: exp.Expression) -> exp.Expression:
    """Write APPROX_TOP_COUNT as an exact count: an array of structs of value and count."""
    return call("tuning_top_count", node.this, node.expression)


def approx_top_sum(_: exp.Expression) -> exp.Expression:
    """Refuse APPROX_TOP_SUM."""
    refuse_unsupported("APPROX_TOP_SUM", "Use SUM with GROUP BY, ORDER BY and LIMIT")


def pivot(select: exp.Select) -> exp.Select:
    """Write a PIVOT whose aggregates have aliases as GROUP BY. DuckDB would join the names in the other order."""
    source = select.args.get("from_") or select.args.get("from")
    table = source.this if source is not None else None
    if not isinstance(table, (exp.Table, exp.Subquery)):
        return select
    pivots = table.args.get("pivots")
    if not pivots or len(pivots) != 1 or pivots[0].args.get("unpivot"):
        return select
    (one,) = pivots
    if not any(isinstance(aggregate, exp.Alias) for aggregate in one.expressions):
        return select
    (choice,) = one.fields
    made = []
    for value in choice.expressions:
        label, literal = (value.alias, value.this) if isinstance(value, exp.PivotAlias) else (_label(value), value)
        for aggregate in one.expressions:
            name = f"{aggregate.alias}_{label}" if isinstance(aggregate, exp.Alias) else label
            function = aggregate.this if isinstance(aggregate, exp.Alias) else aggregate
            made.append(exp.alias_(_only(function.copy(), choice.this, literal), name, quoted=True))
    used = {column.name for aggregate in one.expressions for column in aggregate.find_all(exp.Column)}
    used.add(choice.this.name)
    inner = exp.Select(
        expressions=[exp.Star(except_=[exp.to_identifier(name) for name in sorted(used)]), *made],
        group=exp.Group(all=True),
    )
    bare = table.copy()
    bare.set("pivots", None)
    inner.set("from_", exp.From(this=bare))
    alias = one.args.get("alias") or exp.TableAlias(this=exp.to_identifier("pivoted"))
    table.replace(exp.Subquery(this=inner, alias=alias.copy()))
    return select


def unpivot(pivot: exp.Pivot) -> None:
    """Put the column with the names after the values, where BigQuery has it. DuckDB has it before them."""
    table = pivot.parent
    if not pivot.args.get("unpivot") or table is None or len(pivot.fields) != 1:
        return
    alias = pivot.args.get("alias")
    name = pivot.fields[0].this
    inner = table.copy()
    inner.args["pivots"][0].set("alias", None)
    made = exp.Select(expressions=[exp.Star(except_=[name.copy()]), exp.column(name.copy())]).from_(inner)
    table.replace(exp.Subquery(this=made, alias=alias.copy() if alias is not None else None))


def _only(function: exp.Expression, column: exp.Expression, value: exp.Expression) -> exp.Expression:
    """Return the aggregate of the rows whose column has the value."""
    condition = exp.EQ(this=column.copy(), expression=value.copy())
    if isinstance(function, exp.Count) and isinstance(function.this, exp.Star):
        return exp.CountIf(this=condition)
    argument = function.this
    if isinstance(argument, (exp.Distinct, exp.Order, exp.Limit)) or not isinstance(argument, exp.Expression):
        refuse_unsupported("this aggregate in PIVOT", "Write it with IF and GROUP BY")
    function.set("this", exp.If(this=condition, true=argument.copy()))
    return function


def _label(value: exp.Expression) -> str:
    return str(value.this) if isinstance(value, exp.Literal) else value.sql("bigquery")
