"""Recognize what only Python 2 accepts, and rewrite it so that Python 3 can parse it.

The macro `has_python2_code` in dbt_project/macros/quality/post_flags.sql looks for the same.
"""

import re
from collections.abc import Sequence

_START = r"(?:^|[:;])[ \t]*"
# Parameters of a function before one that is a tuple: names, some with simple defaults.
_PARAMETERS = r"(?:\*{0,2}\w+[ \t]*(?:=[ \t]*[\w.'-]*[ \t]*)?,[ \t]*)*+"
_BESIDE = r"[\w)\]'\"][ \t]*<>[ \t]*[\w(\['\"{-]"
# For each kind: a quick search in RE2's syntax, with strings and comments still in the code, and the search without.
# The kinds whose second search does not begin with a word or a sign are rare.
_KINDS = {
    "print": (
        r"print[ \t]*[\w'\"`\[{>]",
        rf"{_START}print[ \t]*(?:[ \t](?!(?:in|is|and|or|if|for|not)\b)[\w`\[{{]|['\"]|>>)",
    ),
    "exec": (r"exec[ \t]+['\"\w]", rf"{_START}exec[ \t]+(?!in\b)['\"\w]"),
    "raise": (r"raise[ \t]+[\w.]+[ \t]*,", rf"{_START}raise[ \t]+[\w.]+[ \t]*,"),
    "except": (
        r"except[ \t][^\n:]*,",
        rf"{_START}except[ \t]+(?:[\w.]+|\([^()\n]*\))[ \t]*,[ \t]*(?:[\w.]+|\([\w, \t]*\))[ \t]*:",
    ),
    # In other languages, `<>` is also an operator. Between these words and signs, it is Python's.
    "<>": (
        "<>",
        rf"{_START}(?:if|elif|while|assert)\b[^\n]*{_BESIDE}(?![^\n]*\bthen\b)"
        rf"|\b(?:if|and|or|not)\b[^\n]*{_BESIDE}[^\n]*[)\]]",
    ),
    "def": (
        r"def[ \t]+\w+[ \t]*\((?:[^()\n]*,)?[ \t]*\(",
        rf"\bdef[ \t]+\w+[ \t]*\([ \t]*{_PARAMETERS}\([ \t]*[\w(][\w, \t()]*\)",
    ),
    "lambda": (
        r"lambda[ \t]*(?:[^():\n]*,[ \t]*)?\(",
        rf"\blambda[ \t]*{_PARAMETERS}\([ \t]*[\w(][\w, \t()]*\)[\w, \t=]*:",
    ),
    "ur": (r"\b[uU][rR]['\"]", r"(?<![\w'\"])[uU][rR](?=''|\"\")"),
    "long": (r"\b[0-9][0-9xXa-fA-F]*[lL]\b", r"(?<![\w.])(0[xX][\da-fA-F]+|\d+)[lL](?!\w)"),
    # An octal number such as 0777 stands where only a number of a program stands: dates and columns do not count.
    "octal": (
        r"(?:[=(,\[&|'\":]|return)[ \t]*0+[1-7]",
        r"(?:[=(,\[&|][ \t]*|''[ \t]*:[ \t]*|\breturn[ \t]+)0+[1-7][0-7]*[lL]?[ \t]*(?:[)\],}&|;\n]|\Z)",
    ),
    "repr": (
        r"`[^`\n]+`",
        r"(?:[=(,+%\[:]|\b(?:return|print|in|and|or))[ \t]*`[\w. \t()\[\],'+*/-]+`(?!`)",
    ),
}
# By kind, a pattern in RE2's syntax that finds every text that may have it, if only in a string or a comment.
QUICK = {kind: quick for kind, (quick, _) in _KINDS.items()}
_PATTERNS = {kind: re.compile(pattern, re.MULTILINE) for kind, (_, pattern) in _KINDS.items()}
_VECTOR = re.compile(r"(?<![\w.])c\(")  # of R, where `10L` is an integer

_CALLED = re.compile(r"\b(print|exec)(?!\w)[ \t]*(?:>>[^,\n]*,?)?[ \t]*([^\n(;][^\n;]*)")
_RAISED = re.compile(r"(\braise[ \t]+[\w.]+)[ \t]*,[^\n]*")
_CAUGHT = re.compile(r"(\bexcept[ \t]+(?:[\w.]+|\([^()\n]*\)))[ \t]*,[ \t]*(?:[\w.]+|\([\w, \t]*\))[ \t]*:")
_TUPLE_IN_DEF = re.compile(rf"{_PATTERNS['def'].pattern}[^\n:]*:")
_OCTAL = re.compile(r"(?<![\w.])0+([1-7][0-7]*)(?![\w.])")
_REPR = re.compile(r"`([^`\n]+)`")


def is_python_2(bare: str, kinds: Sequence[str]) -> bool:
    """Return whether one of these kinds is in the code, which has empty strings and no comments.

    The code must be Python: in other languages, `0777`, `10L`, `<>` and backticks mean something else.
    """
    return any(_PATTERNS[kind].search(bare) and not (kind == "long" and _VECTOR.search(bare)) for kind in kinds)


def as_python_3(bare: str) -> str:
    """Rewrite the statements and expressions that only Python 2 has, so that Python 3 can parse them."""
    bare = _RAISED.sub(r"\1", _CAUGHT.sub(r"\1 as _:", _CALLED.sub(r"\1(\2)", bare)))
    bare = _REPR.sub(r"(\1)", _PATTERNS["ur"].sub("", bare)).replace("<>", "!=")
    bare = _OCTAL.sub(r"0o\1", _PATTERNS["long"].sub(r"\1", bare))
    return _TUPLE_IN_DEF.sub("def _():", _PATTERNS["lambda"].sub("lambda _:", bare))
