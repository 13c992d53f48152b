"""Write FORMAT with a literal pattern as a concatenation.

https://cloud.google.com/bigquery/docs/reference/standard-sql/format_functions
"""

import re

from sqlglot import exp

from tuning.warehouse.local.sql.dates import call
from tuning.warehouse.local.sql.refusals import refuse, refuse_unsupported

_SPECIFIER = re.compile(r"%([-+ #0']*)([0-9]*|\*)(?:\.([0-9]+|\*))?(ll|l|h|hh)?([a-zA-Z%])")
_NUMERIC = frozenset("diouxXfFeEgG")


def format_text(node: exp.Expression) -> exp.Expression:
    """Return an expression that gives what FORMAT gives. It is NULL if an argument is, except for %t and %T."""
    pattern = node.this
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        refuse_unsupported("FORMAT with a computed pattern", "Write the pattern as a literal")
    arguments, end = list(node.expressions), 0
    parts: list[exp.Expression] = []
    for match in _SPECIFIER.finditer(pattern.this):
        parts.append(exp.Literal.string(_plain(pattern.this[end : match.start()])))
        end = match.end()
        if match[5] == "%":
            parts.append(exp.Literal.string("%"))
            continue
        if not arguments:
            refuse("Invalid number of arguments to FORMAT: too few arguments for the pattern")
        parts.append(_formatted(match, arguments.pop(0)))
    parts.append(exp.Literal.string(_plain(pattern.this[end:])))
    if arguments:
        refuse("Invalid number of arguments to FORMAT: too many arguments for the pattern")
    kept = [part for part in parts if not (isinstance(part, exp.Literal) and not part.this)] or [exp.Literal.string("")]
    return exp.paren(_joined(kept))


def _plain(text: str) -> str:
    if "%" in text:
        refuse(f"Invalid format specifier in FORMAT: {text[text.index('%') :][:10]}")
    return text


def _formatted(match: re.Match[str], value: exp.Expression) -> exp.Expression:
    flags, width, precision, kind = match[1], match[2], match[3], match[5]
    if "*" in (width, precision) or "#" in flags or kind in "aApP":
        refuse_unsupported(f"{match.group()} in FORMAT", "Use another format specifier")
    if kind in _NUMERIC:
        if "'" in flags:
            return _grouped(match, value)
        value = exp.cast(value, "BIGINT" if kind in "dioxX" else "DOUBLE")
        kind = {"i": "d", "u": "d"}.get(kind, kind)
        dot = f".{precision}" if precision is not None else ""
        return call("printf", exp.Literal.string(f"%{flags}{width}{dot}{kind}"), value)
    if kind not in "stT":
        refuse(f"Invalid format specifier character {kind!r} in FORMAT string")
    text = value if kind == "s" else call("tuning_literal" if kind == "T" else "tuning_display", value)
    if kind != "s":
        text = exp.Coalesce(this=text, expressions=[exp.Literal.string("NULL")])
    if precision is not None:
        text = exp.Left(this=text, expression=exp.Literal.number(int(precision)))
    return _padded(text, flags, width)


def _grouped(match: re.Match[str], value: exp.Expression) -> exp.Expression:
    pattern = "{:,}" if match[5] in "di" else f"{{:,.{match[3] or 6}f}}"
    value = exp.cast(value, "BIGINT" if match[5] in "di" else "DOUBLE")
    text = exp.Anonymous(this="tuning_group", expressions=[exp.Literal.string(pattern), value])
    return _padded(text, match[1].replace("'", ""), match[2])


def _padded(text: exp.Expression, flags: str, width: str) -> exp.Expression:
    if not width:
        return text
    return call("printf", exp.Literal.string(f"%{'-' if '-' in flags else ''}{width}s"), text)


def _joined(parts: list[exp.Expression]) -> exp.Expression:
    made = parts[0]
    for part in parts[1:]:
        made = exp.DPipe(this=made, expression=part, safe=False)
    return made
