"""Decide whether a block of code is certainly Python: by lines that only Python has, or else by parsing it.

The result does not depend on the version of Python that runs this: strings, whose syntax changed in Python 3.12, are
replaced before the code is parsed, and the parser accepts the grammar of Python 3.11.
"""

import ast
import re
import textwrap
import warnings
from itertools import islice

from tuning.dataset.markdown.fences.python_2 import QUICK, as_python_3, is_python_2
from tuning.dataset.sieve import Sieve

_LONGEST = 4_000  # characters; a longer block without a mark of Python is data
_LONGEST_PARSED = 800  # characters without those of literals; parsing more is slow, and hardly ever finds Python
_MOST_NODES = 200  # of the syntax tree of one statement that are looked at

_END = r"[ \t]*(?:\#.*)?$"
# Patterns of lines begin with the line break before, which is found several times as fast as `^`. They are searched in
# texts that begin with a line break.
_LINE = r"\n[ \t]*+"
# Lines that other languages do not have, and that prose and output hardly ever have.
_MARK = re.compile(
    rf"""{_LINE}(?:
    (?:async[ ]+)?def[ ]+\w+[ ]*\(.*:{_END}
    | class[ ]+\w+[ ]*(?:\(.*\)[ ]*)?:{_END}
    | from[ ]+[\w.]+[ ]+import[ ]+[\w(*]
    | import[ ]+[a-z_][\w.]*[ ]+as[ ]+\w+{_END}
    | except(?:[ ]+(?:[\w.]+|\([\w., ]+\))(?:(?:[ ]+as[ ]+|[ ]*,[ ]*)\w+)?)?[ ]*:
    | elif\b.+:{_END}
    | with[ ]+.+[ ]+as[ ]+\w+[ ]*:{_END}
    | (?:async[ ]+)?for[ ]+\w+(?:,[ ]*\w+)*[ ]+in[ ]+[\w.]+(?:\(.*\)|\[.*\])?[ ]*:{_END}
    | if[ ]+__name__[ ]*==
    )""",
    re.MULTILINE | re.VERBOSE,
)
# What a program prints of an object looks like a call: `array([1, 2])`, `Point(x=1)`.
_PRINTED = r"[A-Z]|(?:array|tensor|deque|defaultdict|o?dict_\w+|set|frozenset|range|datetime|date|time|timedelta)\b"
# Lines that together make up most snippets. Code of such lines only, with balanced brackets, need not be parsed.
_NAME = r"[^\W\d]\w*+(?:\.\w++|\[[^\]\n]*+\])*+"
_VALUE = rf"(?:{_NAME}|[\d.]+|'[^'\n]*+'|\"[^\"\n]*+\")"
_SIMPLE = rf"""(?:
    print[ ]?\(.*[)\]}},(\[{{]{_END}
    | import[ ]+[a-z_][\w.]*+(?:[ ]*,[ ]*[\w.]++)*+{_END}
    | {_NAME}(?:,[ ]*{_NAME})*+[ ]*[-+*/|]?=[ ]*(?:[\w.]++[(\[].*[)\]]|[\[{{(](?:.*[\]}}),\[{{(])?|'[^'\n]*+'|"[^"\n]*+"
        | {_VALUE}(?:[ ]?[-+*/%][ ]?{_VALUE})++){_END}
    | (?!datetime\.)\w++(?:\.\w++)++\(.*[)\]}},(\[{{]{_END}
    | (?!{_PRINTED}|.*[ ]as[ ])[a-z_]\w*+\(.*[)\]}},(\[{{]{_END}
    | (?:if|while)[ ](?:.*[=<>(\[].*|(?:not[ ])?{_NAME}(?:[ ](?:not[ ])?in[ ]{_NAME})?+):{_END}
    | del[ ]+{_NAME}{_END}
    | return[ ].*[)\]]{_END}
    )"""
_NAMED = rf"\w+[ ]*=[ ]*[\w.]+{_END}"  # settings have such lines too
_SIMPLE_CODE = re.compile(
    rf"""(?:[ \t]*+(?:\#.*+|{_NAMED}|[.]{{3}}[ ]*+)?\n)*+[ \t]*+{_SIMPLE}
    (?:\n[ \t]*+(?:\#.*+ | {_SIMPLE} | {_NAMED} | [.]{{3}}[ ]*+$ | (?:else|try):{_END} | [)\]}}]++[ ]*{_END}
        | ['"(\[{{].*[,)\]}}]{_END})?+)*+\Z""",
    re.MULTILINE | re.VERBOSE,
)
# Lines that Python would accept, or that stand among lines of Python, but are of another language or were printed.
_FOREIGN = re.compile(
    rf"""{_LINE}(?:
    (?=[A-Z])(?:Traceback[ ]\(most | File[ ]"[^"\n]+",[ ]line[ ]\d | \w*(?:Error|Exception|Warning): | [A-Z]:\\.*>
        | (?:In|Out)[ ]?\[\d+\]: | PS[ ])
    | (?=[>$<{{])(?:>>> | \$[ ]\w | <\?xml | \{{%)
    | (?=[cde])(?:c(?:p?def|import)[ ] | console\.log | document\.get | end$)
    )""",
    re.MULTILINE | re.VERBOSE,
)
_FOREIGN_SIGNS = (") {\n", "){\n", "=>", " <- ", ":~$ ")
# One search tells which kinds of Python 2 a text may have, and whether it may have a line or sign of another language.
# The last pattern is in RE2's syntax, and finds all that `_FOREIGN` and `_FOREIGN_SIGNS` find.
_SIEVE = Sieve(
    QUICK
    | {
        "foreign": r"(?m)^[ \t]*(?:Traceback \(most|File \"|[^\s(:]*(?:Error|Exception|Warning):|[A-Z]:\\|PS |>>>|\$ "
        r"|(?:In|Out) ?\[|<\?xml|\{%|cp?def |cimport |console\.log|document\.get|end$)|\) ?\{\n|=>| <- |:~\$ "
    }
)
_ENDS_STATEMENT = re.compile(r";[ \t]*$", re.MULTILINE)
_VARIABLES = re.compile(r"(?:(?:\#.*+|[A-Z][A-Z\d_]*+=\S.*+)\s*+)++\Z")  # of a shell, as in a file `.env`
_MAGIC = re.compile(r"^[ \t]*[!%]{1,2}[A-Za-z{].*$", re.MULTILINE)  # a command of a notebook
# Nearly every statement has one of these.
_SIGNS = (
    "=", "(", "[", "import ", "print ", "return ", "if ", "while ", "raise ", "del ", "for ", "with ", "class ",
    "global ", "exec ",
)  # fmt: skip
# Strings and comments. A string that is not closed extends to the end of its line, or of the text.
_LITERAL = re.compile(
    r"""
    \#[^\n]*
    | '{3}(?:[^'\\]++|\\.|'(?!''))*+(?:'{3}|\Z) | "{3}(?:[^"\\]++|\\.|"(?!""))*+(?:"{3}|\Z)
    | '(?:[^'\\\n]++|\\.)*+(?:'|$) | "(?:[^"\\\n]++|\\.)*+(?:"|$)""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_AND_SO_ON = re.compile(r"(?:,|^)[ \t]*\.{3,}[ \t]*$", re.MULTILINE)
_LETTER = re.compile("[A-Za-z]")
# Code that does something has an assignment, a call, a subscript or a keyword. A printed list of values has none.
_WORK = re.compile(
    r"""=|[\w)\]}'"][ \t]*[(\[]|\b(?:def|class|from|import|for|while|if|with|try|del|global|nonlocal|assert|raise|return
    |lambda|await|yield)\b""",
    re.VERBOSE,
)
# Two words in a row, of which neither is a keyword: outside literals, no code has that.
_PROSE = re.compile(
    rf"""{_LINE}(?!(?:import|from|return|if|for|while|with|del|global|nonlocal|assert|raise|print|exec|async|await|class
    |def|not|lambda|yield|try|else|elif|except|finally|pass|match|case|type|in|is|and|or)\b)
    \w[\w.]*+[ \t]+(?!(?:in|is|and|or|if|for|not|else|as)\b)\w""",
    re.MULTILINE | re.VERBOSE,
)
_EMPTY_BLOCK = re.compile(r":[ \t]*$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"(?<=[(=,\[: ])<[A-Za-z][\w .-]*>")
_PARTS_OF_TIME = ("date", "datetime", "time", "timedelta")
_PROGRAM = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ImportFrom, ast.For, ast.AsyncFor, ast.While,
    ast.If, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match, ast.AugAssign, ast.Delete, ast.Global,
    ast.Nonlocal, ast.Assert, ast.Raise, ast.Return,
)  # fmt: skip
_WORKING = (
    ast.Call, ast.Subscript, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
    ast.Await, ast.Yield, ast.YieldFrom,
)  # fmt: skip


def python_name(code: str) -> str:
    """Return "python", or "python2" for code that only Python 2 accepts, or "" if the code is not certainly Python.

    The time is linear in the length of the code. Nothing is executed.
    """
    is_marked = has_mark(code)
    if not is_marked and not _may_be_program(code):
        return ""
    bare, is_old = "", False
    if hints := _SIEVE.search(code):
        bare = without_literals(code)
        if "foreign" in hints and _has_foreign_line(bare):
            return ""
        is_old = is_python_2(bare, [hint for hint in hints if hint != "foreign"])
    is_certain = is_marked or (not is_old and _is_simple(code))
    if not is_certain and ((not bare and _is_prose(code)) or not _is_program(bare or without_literals(code), is_old)):
        return ""
    return "python2" if is_old else "python"


def _has_foreign_line(bare: str) -> bool:
    """Return whether the code, without its literals, has a line or a sign of another language or of output."""
    return _FOREIGN.search("\n" + bare) is not None or any(sign in bare for sign in _FOREIGN_SIGNS)


def _is_prose(code: str) -> bool:
    """Return whether a line outside of all literals is prose, so that the literals need not be found."""
    has_long_literal = '"""' in code or "'''" in code or "\\\n" in code
    return not has_long_literal and _PROSE.search("\n" + code) is not None


def has_mark(code: str) -> bool:
    """Return whether a line of the code is one that only Python has."""
    return _MARK.search("\n" + code) is not None


def _may_be_program(code: str) -> bool:
    """Return False for code without any sign that occurs in nearly each statement, which need not be parsed."""
    return (
        len(code) <= _LONGEST
        and any(sign in code for sign in _SIGNS)
        and not _ENDS_STATEMENT.search(code)
        and not _VARIABLES.match(code)
    )


def without_literals(code: str) -> str:
    """Replace each string by an empty one, and remove comments."""
    return _LITERAL.sub(_empty, code)


def _empty(match: re.Match[str]) -> str:
    text = match[0]
    if text[0] == "#":
        return ""
    return "''" if text[-1] in "'\"" else text  # a string that is not closed must not parse


def _is_simple(code: str) -> bool:
    """Return whether the code consists of simple lines only. It is then as certain as code that parses."""
    return _SIMPLE_CODE.match(code) is not None and all(
        code.count(opening) == code.count(closing) for opening, closing in (("(", ")"), ("[", "]"), ("{", "}"))
    )


def _is_program(bare: str, is_old: bool) -> bool:
    """Return whether the code without its literals parses, and is not only what a program could have printed."""
    if len(bare) > _LONGEST_PARSED or not _LETTER.search(bare) or not (is_old or _WORK.search(bare)):
        return False
    if _PROSE.search("\n" + bare):
        return False
    if "!" in bare or "%" in bare:
        bare = _MAGIC.sub("", bare)
    if is_old:
        bare = as_python_3(bare)
    if bare[:1] in " \t":
        bare = textwrap.dedent(bare)
    tree = _parsed(bare)
    if tree is None and (completed := _completed(bare)) != bare:
        tree = _parsed(completed)
    return tree is not None and any(_works(statement) for statement in tree.body)


def _completed(bare: str) -> str:
    """Complete what a snippet leaves out: the body of a block, `...` for more items, `<name>` for a value."""
    bare = _PLACEHOLDER.sub("x", _AND_SO_ON.sub("", bare))
    if not _EMPTY_BLOCK.search(bare):
        return bare
    result = []
    lines = [line.rstrip() for line in bare.split("\n") if line.strip()]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        result.append(line)
        if line.endswith(":") and _indent(following) <= _indent(line):
            result.append(" " * (_indent(line) + 1) + "pass")
    return "\n".join(result)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _parsed(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code, feature_version=(3, 11))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two occur if the nesting is too deep
        return None


def _works(statement: ast.stmt) -> bool:
    """Return whether the statement does something that output, prose and settings files do not."""
    if isinstance(statement, _PROGRAM):
        return True
    match statement:
        case ast.Import(names=names):  # `import Data.List` is Haskell
            return not all(
                "." in name.name and all(part[0].isupper() for part in name.name.split(".")) for name in names
            )
        case ast.Assign(targets=[ast.Name()], value=ast.Constant(value=value)):
            return isinstance(value, str | bytes)
        case ast.Assign(targets=[ast.Name()], value=ast.Name() | ast.UnaryOp()):
            return False
        case ast.Assign():
            return True
        case ast.AnnAssign(value=value):  # without a value, it can be a line such as `name: text`
            return value is not None
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return not re.match(_PRINTED, name)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="datetime"), attr=name))):
            return name not in _PARTS_OF_TIME
        case ast.Expr(value=ast.Call()):
            return True
        case ast.Expr(value=ast.Tuple() | ast.List() | ast.Set() | ast.Dict() as value):  # often a printed value
            return any(_works_in_value(node) for node in islice(ast.walk(value), _MOST_NODES))
        case ast.Expr(value=value):
            return any(isinstance(node, _WORKING) for node in islice(ast.walk(value), _MOST_NODES))
    return False


def _works_in_value(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return not re.match(_PRINTED, name)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="datetime"), attr=name)):
            return name not in _PARTS_OF_TIME
    return isinstance(node, _WORKING)
