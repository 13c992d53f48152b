"""Read the strings of code: raw strings, and strings that stand in the text in several pieces.

| string | languages |
|---|---|
| `R"(…)"`, `R"x(…)x"` | C++ |
| `r#"…"#`, `#"…"#` | Rust, Swift |
| `@"…"` | C#, Objective-C |
| `` `…` `` | Go, JavaScript |
| `%q(…)`, `q{…}`, `$$…$$`, `[[…]]`, `q'[…]'` | Ruby, Perl, PostgreSQL, Lua, Oracle |
| `\"""`, `'''` and here-documents, with line breaks around the value | Python, Kotlin, Java, TOML, PHP, Ruby, shells |
| `"…" "…"`, `"…" + "…"`, `"…" . "…"`, `"…" & "…"`, `"…" || "…"`, … | all of them |

No pattern tries a character in two ways, and each reads at most some hundred characters.
"""

import re

from tuning.dataset.redact.written.strings import text_in

Span = tuple[int, int]
Pieces = tuple[Span, ...]

_MOST = 20  # pieces of a string
# Where a string can begin.
START = (
    r"(?:(?:String\.raw|u8R?|[A-Za-z]{1,3}|[@$]{1,2})?\\{0,3}(?:\"\"\"|'''|[\"'`](?![\s),;:\]}]))"
    r"|[bcr]{0,2}#{1,8}\"|%[qQwW]?[(\[{<]|qq?[(\[{]|\$\w{0,10}\$"
    r"|%?qq?[|!]|@[\"']\r?\n|\[=*\[|<<<?[~-]?[\"']?\w)"
)
_QUOTE = "(?P<quote>(?:\\\\{3}|\\\\)?(?:\"\"\"|'''|[\"'`]))"
_STRING = re.compile(
    r"(?:u8|[uUL])?R\"(?P<mark>[^()\\\s\"]{0,16})\(\s{0,80}(?P<of_cpp>\S{0,300}?)\s{0,80}\)(?P=mark)\""
    r"|[bcr]{0,2}(?P<hashes>#{1,8})\"(?P<of_rust>\S{0,300}?)\"(?P=hashes)"
    r"|(?:@\$?|\$@)\"(?P<of_c_sharp>(?:[^\"\s]|\"\"){0,300}+)\""
    r"|(?:%[qQwW]?|(?<!\w)qq?)(?:\((?P<round>[^\s()]{0,300})\)|\[(?P<square>[^\s\[\]]{0,300})\]"
    r"|\{(?P<curly>[^\s{}]{0,300})\}|<(?P<angle>[^\s<>]{0,300})>)"
    r"|%?qq?(?P<delimiter>[|!])(?P<delimited>[^\s|!]{0,300})(?P=delimiter)"
    r"|@(?P<here>[\"'])\r?\n(?P<of_powershell>\S{1,300})\r?\n(?P=here)@"
    r"|[nN]?[qQ]'[\[({<!](?P<of_oracle>[^\s']{0,300}?)[\])}>!]'"
    r"|\$(?P<tag>\w{0,10})\$(?P<dollars>[^\s$]{0,300})\$(?P=tag)\$"
    r"|\[(?P<equals>=*)\[(?P<of_lua>[^\s\"'\[\]]{0,300})\](?P=equals)\]"
    r"|<<<?[~-]?(?P<around>[\"']?)(?P<end>\w{1,30})(?P=around)\s{0,80}(?P<document>[^\s<>]{1,300})\s{0,80}(?P=end)\b"
    rf"|(?:String\.raw|u8|[A-Za-z]{{1,3}}|[@$]{{1,2}})?{_QUOTE}"
    rf"(?:(?P<text>{text_in('quote', length='0,300')}|[^\s\"'`]{{0,300}}?)"
    r"|(?<=\"\"\"|''')(?:\s|\\\r?\n){1,80}+(?P<between>[^\s\"'`\\]{1,300})(?:\s|\\\r?\n){0,80}+"
    r"|(?P<lines>[^\s\"'`\\]{1,200}(?:\\\r?\n[ \t]{0,80}[^\s\"'`\\]{1,200}){1,5}))(?P=quote)"
)
_VALUES = (
    "of_cpp", "of_rust", "of_c_sharp", "round", "square", "curly", "angle", "delimited", "of_powershell", "of_oracle",
    "dollars", "of_lua", "document", "text", "between",
)  # fmt: skip
_GAP = r"(?:\s|\\\r?\n|_\r?\n|/\*[^*\n]{0,80}\*/|(?://|\#|--)[^\n\"'`]{0,100}\n){0,100}+"
_METHODS = r"(?:\.(?:encode|to_string|to_owned|into)\([^()\n]{0,20}\))?"
# What can stand between two pieces: in code, in a list that is joined, and in a command, where nothing can.
IN_CODE = re.compile(
    rf"{_METHODS}{_GAP}(?:(?:\+\+?|\.\.?|<>|\|\||&|~|(?i:concat)\b|\.concat\()(?=[\s\\\"'`@$#A-Za-z%])){{0,1}}{_GAP}(?={START})"
)
IN_LIST = re.compile(r"[ \t]{0,9},\s{0,80}(?=[brufBRUF]{0,2}[\"'])")
IN_COMMAND = re.compile(r"(?=[\"'])")
_LINE_OF_STRING = re.compile(r"[^\s\"'`\\]+")


def read_string(text: str, start: int, between: re.Pattern[str] = IN_CODE) -> tuple[Pieces, int]:
    """Return the places of the pieces of the string that begins at `start`, and where the last one ends.

    Empty pieces are left out. There are none if no string without white space begins there.
    """
    pieces: list[Span] = []
    end = start
    for _ in range(_MOST):
        match = _STRING.match(text, start)
        if match is None:
            break
        pieces += _spans(match)
        end = match.end()
        following_piece = between.match(text, end)
        if following_piece is None:
            break
        start = following_piece.end()
    return tuple(piece for piece in pieces if piece[0] < piece[1]), end


def following(text: str, end: int, between: re.Pattern[str] = IN_CODE) -> Pieces:
    """Return the places of the pieces of a string after its first piece, which ends at `end`."""
    match = between.match(text, end)
    return read_string(text, match.end(), between)[0] if match else ()


def joined(text: str, pieces: Pieces) -> str:
    """Return the value of a string in several pieces."""
    return "".join(text[start:end] for start, end in pieces)


def _spans(match: re.Match[str]) -> list[Span]:
    if match["lines"] is not None:
        return [line.span() for line in _LINE_OF_STRING.finditer(match.string, *match.span("lines"))]
    return [match.span(name) for name in _VALUES if match[name] is not None]
