"""Name result columns and the fields of structs as BigQuery does."""

from typing import Any

from sqlglot import exp

from tuning.warehouse.local.sql.kinds import Kinds
from tuning.warehouse.local.sql.refusals import refuse


def name_outputs(tree: exp.Expression) -> None:
    """Give each result column of the statement, its subqueries and its CTEs the name that BigQuery gives it.

    An expression without a name becomes ``f0_``, ``f1_``, and so on. A column keeps the capitals of the statement.
    """
    if isinstance(tree, exp.Select) and tree.args.get("kind") == "STRUCT":
        tree.set("kind", None)  # the result of the whole statement has the fields as columns
    for select in list(tree.find_all(exp.Select)):
        if select.args.get("kind") == "STRUCT":
            _alias(select, "_field_{}", by_position=True)
        elif select.args.get("kind") is None and _gives_columns(select):
            if isinstance(tree, exp.Create) and select is tree.expression:
                _require_names(select)
            _alias(select, "f{}_", by_position=False)
            if select is tree or select.parent is tree:
                _refuse_duplicates(select)


def name_fields(tree: exp.Expression) -> None:
    """Give each field of a struct that has no name the name that BigQuery shows: ``_field_1`` and so on.

    Structs that are compared or inserted stay as they are: DuckDB then matches their fields by position.
    """
    for array in list(tree.find_all(exp.Array)):
        _spread_names(array)
    for kind in list(tree.find_all(exp.DataType)):
        if kind.is_type(exp.DataType.Type.STRUCT) and kind.expressions:
            fields = [
                field
                if isinstance(field, exp.ColumnDef)
                else exp.ColumnDef(this=exp.to_identifier(f"_field_{position}"), kind=field)
                for position, field in enumerate(kind.expressions, 1)
            ]
            kind.set("expressions", fields)
    for node in list(tree.find_all(exp.Struct, exp.Tuple)):
        if node.expressions and _may_name(node):
            named = [_field(field, position) for position, field in enumerate(node.expressions, 1)]
            if isinstance(node, exp.Tuple):
                node.replace(exp.Struct(expressions=named))
            else:
                node.set("expressions", named)


def name_unnested_fields(tree: exp.Expression, kinds: Kinds) -> None:
    """Name the source of each field of an unnested struct. DuckDB finds the fields only behind the name of the struct.

    An array literal without an offset stays as it is: sqlglot makes columns of its fields.
    """
    for number, unnest in enumerate(list(tree.find_all(exp.Unnest))):
        array, select = unnest.expressions[0], unnest.find_ancestor(exp.Select)
        fields = {field.lower() for field in kinds.struct_fields(array)}
        is_literal = isinstance(array, exp.Array)
        if not fields or select is None or (is_literal and not unnest.args.get("offset")):
            continue
        if any(isinstance(made, exp.Star) for made in select.expressions):
            refuse("The local BigQuery does not support * over UNNEST of structs. Name the fields")
        if is_literal:
            array.replace(exp.Anonymous(this="tuning_same", expressions=[array.copy()]))
        alias = unnest.args.get("alias")
        if alias is None or not alias.columns:
            alias = exp.TableAlias(columns=[exp.to_identifier(f"tuning_element_{number}")])
            unnest.set("alias", alias)
        for column in select.find_all(exp.Column):
            if not column.table and column.name.lower() in fields:
                column.set("table", alias.columns[0].copy())


def number_elements(tree: exp.Expression) -> None:
    """Put each UNNEST with an offset into a subquery whose columns are the element and its offset from 0.

    DuckDB counts from 1, and bqemulator subtracts 1 from each column of the statement with the name of an offset, in
    whatever query it is, and not from those of ``SELECT *``.
    """
    unnests = [unnest for unnest in tree.find_all(exp.Unnest) if unnest.args.get("offset")]
    for number, unnest in enumerate(unnests):
        offset, alias = unnest.args["offset"], unnest.args.get("alias")
        name = offset.copy() if isinstance(offset, exp.Identifier) else exp.to_identifier("offset")
        element = alias.columns[0].copy() if alias is not None and alias.columns else exp.to_identifier("f0_")
        counted = unnest.copy()
        counted.set("alias", exp.TableAlias(columns=[element.copy()]))
        counted.set("offset", exp.to_identifier(f"tuning_offset_{number}"))
        columns = [exp.column(element), exp.alias_(exp.column(f"tuning_offset_{number}"), name)]
        rows = exp.Subquery(
            this=exp.Select(expressions=columns).from_(counted),
            alias=exp.TableAlias(this=exp.to_identifier(f"tuning_unnest_{number}")),
        )
        unnest.replace(rows)


def group_by_outputs(tree: exp.Expression) -> None:
    """Write the expression of an output in place of its name in GROUP BY.

    In BigQuery the name of an output hides a column with the same name. In DuckDB the column counts.
    """
    for group in list(tree.find_all(exp.Group)):
        if not isinstance(select := group.parent, exp.Select):
            continue
        outputs = {made.alias.lower(): made.this for made in select.expressions if isinstance(made, exp.Alias)}
        for column in list(group.find_all(exp.Column)):
            made = outputs.get(column.name.lower())
            if made is None or column.table or not isinstance(column.parent, _GROUPINGS):
                continue
            if any(one.parent_select is select for one in made.find_all(exp.AggFunc, exp.Window)):
                refuse(f"Column {column.name} contains an aggregation function, which is not allowed in GROUP BY")
            if made.find(exp.Column):  # a constant number would be the position of an output
                column.replace(made.copy())


_GROUPINGS = (exp.Group, exp.Rollup, exp.Cube, exp.GroupingSets, exp.Tuple, exp.Paren)


def _gives_columns(select: exp.Select) -> bool:
    node: exp.Expression | None = select
    while isinstance(node, exp.Expression) and isinstance(node.parent, (exp.SetOperation, exp.Subquery)):
        if isinstance(node.parent, exp.SetOperation) and node.arg_key != "this":
            return False
        node = node.parent
    parent = node.parent if node is not None else None
    return parent is None or isinstance(parent, (exp.CTE, exp.Create, exp.From, exp.Join))


def _alias(select: exp.Select, pattern: str, *, by_position: bool) -> None:
    named, count = [], 0
    for position, made in enumerate(select.expressions, 1):
        name = _own_name(made)
        if name is None:
            named.append(made)
            continue
        if not name:
            name = pattern.format(position if by_position else count)
            count += 1
        named.append(exp.alias_(made, name, quoted=True, copy=False))  # a copy would lose the selects inside
    select.set("expressions", named)


def _own_name(made: exp.Expression) -> str | None:
    """Return the name that the expression gives its column, '' for none, and None if it must stay as it is."""
    if isinstance(made, (exp.Alias, exp.Star, exp.Aliases)) or made.is_star:
        return None
    if isinstance(made, exp.Column) and isinstance(made.this, exp.Identifier):
        return str(made.name)
    if isinstance(made, exp.Dot) and isinstance(made.expression, exp.Identifier):
        return str(made.expression.name)
    return ""


def _refuse_duplicates(select: exp.Select) -> None:
    """Raise InvalidQueryError if two columns of the result of a statement have the same name."""
    names = [made.alias.lower() for made in select.expressions if isinstance(made, exp.Alias)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        what = f"Found duplicate(s): {', '.join(twice)}"
        refuse(f"Duplicate column names in the result are not supported. {what}")


def _require_names(select: exp.Select) -> None:
    for position, made in enumerate(select.expressions, 1):
        if _own_name(made) == "":
            refuse(f"CREATE TABLE columns must be named, but column {position} has no name")


def _field(field: exp.Expression, position: int) -> exp.Expression:
    if isinstance(field, exp.PropertyEQ):
        return field
    name = _own_name(field) or f"_field_{position}"
    return exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=field)


def _spread_names(array: exp.Expression) -> None:
    """Give all structs of an array literal the field names of the first."""
    first = array.expressions[0] if array.expressions else None
    if not isinstance(first, exp.Struct) or len(array.expressions) == 1:
        return
    names = [
        field.this.name if isinstance(field, exp.PropertyEQ) else _own_name(field) or f"_field_{position}"
        for position, field in enumerate(first.expressions, 1)
    ]
    for element in array.expressions:
        if isinstance(element, (exp.Struct, exp.Tuple)) and len(element.expressions) == len(names):
            fields = [
                exp.PropertyEQ(
                    this=exp.to_identifier(name, quoted=True),
                    expression=field.expression if isinstance(field, exp.PropertyEQ) else field,
                )
                for name, field in zip(names, element.expressions, strict=True)
            ]
            element.replace(exp.Struct(expressions=fields))


def _may_name(node: exp.Expression) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Paren) or (isinstance(parent, exp.Array) and isinstance(parent.parent, exp.Cast)):
        parent = parent.parent
    if isinstance(parent, (exp.Predicate, exp.In, exp.Values, exp.Cast)) or node.find_ancestor(exp.Insert, exp.Merge):
        return False
    if isinstance(node, exp.Tuple) and not isinstance(
        parent, (exp.Select, exp.Alias, exp.Array, exp.Struct, exp.PropertyEQ, exp.Func, exp.Order, exp.Distinct)
    ):
        return False
    branch: Any = node
    while branch.parent is not None:
        if isinstance(branch.parent, exp.SetOperation) and branch.arg_key == "expression":
            return False
        branch = branch.parent
    return True
