"""Tell the type of an expression where that is easy. '' means: not known."""

from collections.abc import Iterable

from sqlglot import exp

Columns = dict[str, set[str]]  # types by column name in lower case

_FLOAT = "FLOAT64"
_NAMES = {"INTEGER": "INT64", "FLOAT": _FLOAT, "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_MACROS = {
    "tuning_int64": "INT64",
    "tuning_safe_int64": "INT64",
    "tuning_string": "STRING",
    "tuning_json_element": "JSON",
    "tuning_concat_arrays": "ARRAY",
    **dict.fromkeys(("tuning_trim", "tuning_ltrim", "tuning_rtrim", "tuning_zoned_text"), "STRING"),
}
_FLOATS = (
    exp.Avg,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
    exp.Corr,
    exp.CovarPop,
    exp.CovarSamp,
    exp.Sqrt,
    exp.Ln,
    exp.Exp,
    exp.PercentileCont,
)
_OF_ARGUMENT = (exp.Paren, exp.Neg, exp.Abs, exp.Sum, exp.Max, exp.Min, exp.Window, exp.AnyValue, exp.IgnoreNulls)
_STRINGS = (exp.Concat, exp.DPipe, exp.Upper, exp.Lower, exp.Trim, exp.Substring, exp.RegexpExtract, exp.TimeToStr)
_INTS = (exp.Count, exp.CountIf, exp.Length, exp.IntDiv, exp.DateDiff, exp.Extract, exp.ArraySize, exp.RowNumber)


class Kinds:
    """Know the types of the columns that a statement reads and of the aliases that it makes."""

    def __init__(self, tree: exp.Expression, columns: Columns) -> None:
        self._columns = columns
        self._aliases: dict[str, list[exp.Expression]] = {}
        self._open: set[str] = set()
        for alias in tree.find_all(exp.Alias):
            self._aliases.setdefault(alias.alias.lower(), []).append(alias.this)
        for table in tree.find_all(exp.TableAlias):
            for column in table.columns:
                self._aliases.setdefault(column.name.lower(), []).append(_element(table.parent))

    def of(self, node: exp.Expression | None) -> str:
        """Return the BigQuery name of the expression's type, or ''."""
        if node is None:
            return ""
        if isinstance(node, exp.Literal):
            if node.is_string:
                return "STRING"
            return "INT64" if node.this.isdigit() else _FLOAT
        if isinstance(node, exp.ParseJSON):
            return "JSON"
        if isinstance(node, (exp.Cast, exp.TryCast)):
            return node.to.sql("bigquery").split("(")[0]
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Anonymous):
            return _made_by(node.name)
        if isinstance(node, exp.Avg) and self.of(node.this) == "NUMERIC":
            return "NUMERIC"
        if isinstance(node, _FLOATS):
            return _FLOAT
        if isinstance(node, _STRINGS):
            return "STRING"
        if isinstance(node, _INTS):
            return "INT64"
        if isinstance(node, (exp.Div, exp.SafeDivide, exp.Pow)):
            return self._arithmetic(node, _FLOAT)
        if isinstance(node, (exp.Add, exp.Sub, exp.Mul)):
            return self._arithmetic(node, "")
        if isinstance(node, exp.Round):
            kind = self.of(node.this)
            return _FLOAT if kind == "INT64" else kind
        if isinstance(node, _OF_ARGUMENT):
            return self.of(node.this)
        if isinstance(node, exp.Coalesce):
            return _one(self.of(part) for part in [node.this, *node.expressions])
        if isinstance(node, exp.If):
            return _one(self.of(part) for part in (node.args.get("true"), node.args.get("false")) if part)
        if isinstance(node, (exp.Array, exp.ArrayConcat, exp.GenerateSeries, exp.GenerateDateArray, exp.Split)):
            return "ARRAY"
        if isinstance(node, exp.ByteString):
            return "BYTES"
        return ""

    def struct_fields(self, node: exp.Expression) -> list[str]:
        """Return the names of the fields if the expression is an array of structs that the statement makes, or []."""
        made = self._aliases.get(node.name.lower(), []) if isinstance(node, exp.Column) else [node]
        first = made[0].expressions[:1] if len(made) == 1 and isinstance(made[0], exp.Array) else []
        fields = first[0].expressions if first and isinstance(first[0], exp.Struct) else []
        return [field.this.name for field in fields if isinstance(field, exp.PropertyEQ)]

    def _column(self, node: exp.Column) -> str:
        name = node.name.lower()
        if name in self._open or not isinstance(node.this, exp.Identifier):
            return ""
        self._open.add(name)
        try:
            kinds = set(self._columns.get(name, ()))
            for made in self._aliases.get(name, ()):
                if not (isinstance(made, exp.Column) and made.name.lower() == name):
                    kinds.add(self.of(made))
        finally:
            self._open.discard(name)
        return kinds.pop() if len(kinds) == 1 else ""

    def _arithmetic(self, node: exp.Expression, default: str) -> str:
        kinds = {self.of(node.this), self.of(node.expression)}
        if "NUMERIC" in kinds:  # a literal such as 1.5 becomes a NUMERIC, a column of FLOAT64 does not
            sides = (node.this, node.expression)
            floats = [side for side in sides if self.of(side) == _FLOAT and not isinstance(side, exp.Literal)]
            return _FLOAT if floats else "NUMERIC"
        if "" in kinds and default:
            return default
        return _FLOAT if _FLOAT in kinds else default or _one(kinds)


def bigquery_name(kind: str) -> str:
    """Return a column's type as SQL writes it, for the name that the REST API uses."""
    return _NAMES.get(kind.upper(), kind.upper())


def _element(source: exp.Expr | None) -> exp.Expression:
    """Return an expression of the type of the unnested array's elements, or NULL."""
    array = source.expressions[0] if isinstance(source, exp.Unnest) else None
    if isinstance(array, exp.Array):
        known = [one for one in array.expressions if not isinstance(one, exp.Null)]
        floats = [one for one in known if isinstance(one, exp.Literal) and "." in one.this and not one.is_string]
        return (floats or known or [exp.Null()])[0]
    return exp.Literal.string("") if isinstance(array, exp.Split) else exp.Null()


def _made_by(function: str) -> str:
    return _MACROS.get(function, "")


def _one(kinds: Iterable[str]) -> str:
    found = set(kinds)
    return found.pop() if len(found) == 1 else ""
