"""Correct functions and operators on single values: casts, subscripts, strings, patterns, rounding, comparisons."""

import re

from sqlglot import exp

from tuning.warehouse.local.sql.dates import call, number
from tuning.warehouse.local.sql.kinds import Kinds
from tuning.warehouse.local.sql.refusals import refuse, refuse_unsupported

_CASTS = {
    exp.DataType.Type.BIGINT: "int64",
    exp.DataType.Type.INT: "int64",
    exp.DataType.Type.SMALLINT: "int64",
    exp.DataType.Type.TINYINT: "int64",
    exp.DataType.Type.BOOLEAN: "bool",
    exp.DataType.Type.DATE: "date",
    exp.DataType.Type.TEXT: "string",
    exp.DataType.Type.VARCHAR: "string",
}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBERS = frozenset({"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"})
# A group that captures. A backslash takes the next character with it; in a class, brackets mean themselves.
_REGEX_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((\?(?!P<|<[A-Za-z]))?", re.DOTALL)


def cast(node: exp.Cast) -> exp.Expression:
    """Correct CAST and SAFE_CAST to INT64, BOOL, DATE and STRING."""
    kind = node.to.this
    if kind != exp.DataType.Type.DECIMAL and not node.to.args.get("nested"):
        node.to.set("expressions", None)  # DuckDB ignores the length of STRING(n), and knows none of BYTES(n)
    if kind not in _CASTS or node.to.expressions or node.args.get("format"):
        return node
    value, name = node.this, _CASTS[kind]
    is_text = isinstance(value, exp.Literal) and value.is_string
    if isinstance(value, exp.Null) or (
        is_text and (name == "string" or (name == "date" and _DAY.fullmatch(value.this)))
    ):
        return node
    return call(_macro(node), value)


def _macro(node: exp.Cast) -> str:
    return f"tuning_{'safe_' if isinstance(node, exp.TryCast) else ''}{_CASTS[node.to.this]}"


def subscript(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Correct access to an element: an index outside the array is an error, and JSON has arrays too."""
    if len(node.expressions) != 1 or node.args.get("safe"):
        return node
    index = node.expressions[0]
    if isinstance(index, exp.Literal) and index.is_string:
        return node
    if _is_json(node.this, kinds):
        if not isinstance(index, exp.Literal):
            refuse_unsupported("a computed subscript of JSON", "Use JSON_QUERY_ARRAY(...)[OFFSET(i)]")
        return call("tuning_json_element", node.this, exp.Literal.string(f"$[{index.this}]"))
    if node.args.get("offset") == 1:
        index = exp.Sub(this=exp.paren(index), expression=number(1))
    return call("tuning_at", node.this, index)


def _is_json(node: exp.Expression, kinds: Kinds) -> bool:
    """Return whether the expression is JSON, or a path into JSON."""
    if kinds.of(node) == "JSON" or isinstance(node, exp.JSONExtract):
        return True
    if isinstance(node, exp.Bracket):
        first = node.expressions[0]
        return (isinstance(first, exp.Literal) and first.is_string) or _is_json(node.this, kinds)
    if isinstance(node, exp.Dot):
        return _is_json(node.this, kinds)
    owners = node.parts[:-1] if isinstance(node, exp.Column) else []
    return any(kinds.of(exp.column(owner.name)) == "JSON" for owner in owners)


def like(node: exp.Expression) -> exp.Expression:
    """Make the backslash in a LIKE pattern an escape."""
    pattern = node.expression
    if isinstance(node.parent, exp.Escape) or (isinstance(pattern, exp.Literal) and "\\" not in pattern.this):
        return node
    if isinstance(pattern, (exp.Any, exp.All, exp.Tuple)):
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


def substring(node: exp.Expression) -> exp.Expression:
    """Correct SUBSTR from position 0, from before the beginning, and of a negative length."""
    start, length = node.args.get("start"), node.args.get("length")
    simple = isinstance(start, exp.Literal) and start.this != "0"
    if simple and (length is None or isinstance(length, exp.Literal)):
        return node
    return call("tuning_substr3", node.this, start, length) if length else call("tuning_substr", node.this, start)


def repeat(node: exp.Expression) -> exp.Expression:
    """Limit the output of REPEAT as BigQuery does."""
    return call("tuning_repeat", node.this, node.args["times"])


def pad(node: exp.Expression) -> exp.Expression:
    """Limit the output of LPAD and RPAD as BigQuery does."""
    name = "tuning_lpad" if node.args.get("is_left") else "tuning_rpad"
    return call(name, node.this, node.expression, node.args.get("fill_pattern") or exp.Literal.string(" "))


def replace(node: exp.Expression) -> exp.Expression:
    """Limit the output of REPLACE, unless it cannot be longer than the input."""
    found, made = node.expression, node.args.get("replacement")
    texts = [one.this for one in (found, made) if isinstance(one, exp.Literal)]
    if len(texts) == 2 and len(texts[1].encode()) <= max(len(texts[0].encode()), 1):
        return node
    return call("tuning_replace", node.this, found, made) if made is not None else node


def regexp_replace(node: exp.Expression) -> exp.Expression:
    """Limit the output of REGEXP_REPLACE, unless the replacement is short."""
    made = node.args.get("replacement")
    if made is None or node.args.get("position") or (isinstance(made, exp.Literal) and len(made.this) < 256):
        return node
    return call("tuning_regexp_replace", node.this, node.expression, made, exp.Literal.string("g"))


def position(node: exp.Expression) -> exp.Expression:
    """Refuse INSTR from the end, which DuckDB does not have."""
    start = node.args.get("position")
    if start is not None and not (isinstance(start, exp.Literal) and start.this != "0"):
        refuse_unsupported("INSTR with a position that is not a positive number", "Use REVERSE and STRPOS")
    return node


def regexp_extract(node: exp.Expression) -> exp.Expression:
    """Correct REGEXP_EXTRACT of an empty match, and refuse a pattern with two groups."""
    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
        return node
    groups = _groups(pattern.this)
    if groups > 1:
        refuse("Regular expressions passed into extraction functions must not have more than 1 capturing group")
    if isinstance(node, exp.RegexpExtract) and not node.args.get("position"):
        return call("tuning_extract", node.this, pattern, number(groups))
    return node


def _groups(pattern: str) -> int:
    """Count the groups that capture."""
    count = 0
    for part in _REGEX_PART.finditer(pattern):
        if part.group().startswith("(") and part.group(1) is None:
            count += 1
    return count


def generate(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Limit GENERATE_ARRAY as BigQuery does, and make it work with fractions."""
    start, end, step = node.args["start"], node.args["end"], node.args.get("step") or number(1)
    if any(kinds.of(part) in ("FLOAT64", "NUMERIC") for part in (start, end, step)):
        return call("tuning_generate_float", start, end, step)
    return call("tuning_generate", start, end, step)


def round_half(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Round the exact value of a FLOAT64: 0.35 is a little less than 0.35, so it becomes 0.3."""
    digits = node.args.get("decimals")
    kind = kinds.of(node.this)
    if kind == "INT64":
        return (
            exp.Round(this=exp.cast(node.this, "DOUBLE"), decimals=digits)
            if digits is not None
            else exp.cast(node.this, "DOUBLE")
        )
    if digits is None or kind != "FLOAT64" or node.args.get("truncate"):
        return node
    return call("tuning_round", exp.cast(node.this, "DOUBLE"), digits)


def slice_array(node: exp.Expression) -> exp.Expression:
    """Correct ARRAY_SLICE, which counts from 0 and includes the end."""
    return call("tuning_slice", node.this, node.args["start"], node.args["end"])


def compare(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Refuse a comparison of a text with a number, which DuckDB casts and BigQuery does not know."""
    left, right = kinds.of(node.this), kinds.of(node.expression)
    if "STRING" in (left, right) and {left, right} & (_NUMBERS | {"BOOL"}):
        signs: dict[type, str] = {exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
        refuse(f"No matching signature for operator {signs[type(node)]} for argument types: {left}, {right}")
    return node


def subtract(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Refuse the difference of two dates: in BigQuery it is an INTERVAL, in DuckDB a number."""
    if kinds.of(node.this) == kinds.of(node.expression) == "DATE":
        refuse_unsupported("the difference of two dates as an INTERVAL", "Use DATE_DIFF(a, b, DAY)")
    return node


def arithmetic(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Make the result of NUMERIC a NUMERIC. A literal such as 1.5 beside a NUMERIC is one too."""
    if kinds.of(node) != "NUMERIC" or isinstance(node.parent, exp.Cast):
        return node
    if "" in (kinds.of(node.this), kinds.of(node.expression)):
        return node
    for side in (node.this, node.expression):
        if isinstance(side, exp.Literal) and not side.is_string and not side.this.isdigit():
            side.replace(exp.cast(exp.Literal.string(side.this), "NUMERIC", dialect="bigquery"))
    if isinstance(node, (exp.Mul, exp.Div, exp.SafeDivide, exp.Pow)):
        return exp.cast(node.copy(), "NUMERIC", dialect="bigquery")
    return node


def whole_division(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Cut the fraction in DIV of NUMERIC. DuckDB keeps it."""
    if "NUMERIC" not in (kinds.of(node.this), kinds.of(node.expression)):
        return node
    quotient = exp.Div(this=exp.paren(node.this), expression=exp.paren(node.expression), typed=False, safe=False)
    return exp.cast(exp.func("TRUNC", quotient, dialect="bigquery"), "NUMERIC", dialect="bigquery")


def average(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Make the AVG of NUMERIC, also over a window, a NUMERIC."""
    function = node.this if isinstance(node, exp.Window) else node
    if not isinstance(function, exp.Avg) or kinds.of(function) != "NUMERIC":
        return node
    if isinstance(node.parent, (exp.Cast, exp.Window)) or node.find_ancestor(exp.Pivot):
        return node
    return exp.cast(node.copy(), "NUMERIC", dialect="bigquery")


def trim(node: exp.Expression) -> exp.Expression:
    """Remove all white space of Unicode in TRIM, LTRIM and RTRIM without characters. DuckDB removes blanks only."""
    if node.expression:
        return node
    side = {"LEADING": "l", "TRAILING": "r"}.get(str(node.args.get("position") or "").upper(), "")
    return call(f"tuning_{side}trim", node.this)


def number_text(node: exp.Literal) -> exp.Expression:
    """Write ``1.`` as ``1.0``, which is a FLOAT64. DuckDB reads it as a decimal."""
    return exp.Literal.number(f"{node.this}0") if not node.is_string and node.this.endswith(".") else node


def concatenate(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Make ``||`` work for arrays and bytes."""
    operands = {kinds.of(node.this), kinds.of(node.expression)}
    if "ARRAY" in operands:
        return call("tuning_concat_arrays", node.this, node.expression)
    return call("tuning_concat_bytes", node.this, node.expression) if "BYTES" in operands else node


def concatenate_arrays(node: exp.Expression) -> exp.Expression:
    """Return NULL from ARRAY_CONCAT if an array is NULL. DuckDB leaves it out."""
    made: exp.Expression = node.this
    for other in node.expressions:
        made = call("tuning_concat_arrays", made, other)
    return made


def divisor(node: exp.Expression) -> exp.Expression:
    """Fail in DIV and MOD by zero. DuckDB gives NULL."""
    by = node.expression
    if not (isinstance(by, exp.Literal) and by.this.strip("0.")):
        node.set("expression", call("tuning_divisor", by.copy()))
    return node


def timestamps(node: exp.Expression) -> exp.Expression:
    """Make the elements of GENERATE_TIMESTAMP_ARRAY TIMESTAMPs. Those of DuckDB have no zone."""
    return call("tuning_timestamps", node.copy())


def json_part(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Return NULL from JSON_QUERY and JSON_EXTRACT of a text for the null of JSON."""
    if kinds.of(node.this) == "JSON" or isinstance(node.this, exp.ParseJSON):
        return node
    return call("tuning_json_part", valid_json(node, kinds).copy())


def valid_json(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Read a text that is not JSON as NULL."""
    value = node.this
    if isinstance(value, (exp.ParseJSON, exp.JSONExtract, exp.Bracket)) or kinds.of(value) == "JSON":
        return node
    if not (isinstance(value, exp.Anonymous) and value.name == "tuning_json"):
        node.set("this", call("tuning_json", value.copy()))
    return node


def unix_seconds(node: exp.Expression) -> exp.Expression:
    """Round down, also before 1970."""
    return call("tuning_unix_seconds", node.this)


def json_text(node: exp.Expression) -> exp.Expression:
    """Write numbers and times in TO_JSON_STRING and TO_JSON as BigQuery does."""
    if isinstance(node.parent, exp.Anonymous) and node.parent.name == "tuning_json_text":
        return node
    text = call("tuning_json_text", node.copy())
    if node.args.get("to_json"):
        return exp.cast(text, "JSON")
    return exp.Coalesce(this=text, expressions=[exp.Literal.string("null")])
