r"""Keep TeX formulas (`$…$`, `$$…$$`, `\(…\)`, `\[…\]`, environments) out of reach of Markdown.

`hide` puts a mark in the place of each formula before the conversion, and `show` puts the formulas back. Between the
two, the round-trip check compares the marks. A dollar sign is prose (a price, a shell variable, jQuery) unless the text
between two of them looks like TeX. The `\$` of a price stays too: MathJax shows `\$5` as `$5`.
"""

import re
from collections.abc import Iterator
from html import unescape

from tuning.dataset.markdown.spans import INLINE_TAG, outside_code

# Symbols that stand around the number of a formula. As symbols, they leave the emphasis next to them as `$` does.
_MARKS = [chr(code) for code in range(0x2440, 0x244B)]
_LONGEST = 5_000  # characters of a formula
_LONGEST_PREFIX = 500  # characters before the text of a line in quotations and lists
_SPAN = re.compile(r'<span class="math-container">([^<]*)</span>')
_CODE = re.compile(r"<code[^<>]*>[^<]*</code>")
_TOKEN = re.compile(r"\\\\|\\\$|\$\$?|\\[()\[\]]|\\begin\{[A-Za-z]+\*?\}")
_CLOSING = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}
_FAMILY = {"$": "$", "$$": "$", "\\(": "(", "\\)": "(", "\\[": "[", "\\]": "["}

# The emphasis tags of a text by their start: the character that the author typed, and the start of the other tag.
Tags = dict[int, tuple[str, int]]


def hide(html: str) -> tuple[str, list[str], str]:
    """Return the HTML with a mark for each formula, the formulas, and the two characters that enclose a mark's number.

    Marks are characters that the HTML does not contain. A text with all of them (no real one has them) keeps its
    formulas as prose.
    """
    if not _may_have_formula(html) or not _may_have_formula(_CODE.sub("", html)):
        return html, [], ""
    free = [mark for mark in _MARKS if mark not in html]
    if len(free) < 2:
        return html, [], ""
    marks = free[0] + free[1]
    formulas: list[str] = []

    def hidden(tex: str) -> str:
        formulas.append(tex)
        return f"{marks[0]}{len(formulas) - 1}{marks[1]}"

    html = _SPAN.sub(lambda match: hidden(unescape(match[1])), html)
    pieces: list[str] = []
    in_cell = False
    for text, is_prose in outside_code(html):
        if not (is_prose and _may_have_formula(text)):
            in_cell = text.startswith(("<td", "<th")) or (in_cell and not text.startswith(("</td", "</th")))
            pieces.append(text)
            continue
        end = 0
        tags = _emphasis(text)
        spans = list(_formulas(text, tags))
        if in_cell:  # a Markdown table divides its cells at each `|`, also in a formula, so prose escapes it
            spans = [(start, stop) for start, stop in spans if not re.search(r"[|\n]", text[start:stop])]
        orphans = _orphans(text, tags, spans)
        for start, stop in spans:
            pieces.append(_as_typed(text, end, start, orphans))
            pieces.append(hidden(_tex(text, start, stop, tags)))
            end = stop
        pieces.append(_as_typed(text, end, len(text), orphans))
    return "".join(pieces), formulas, marks


def _may_have_formula(text: str) -> bool:
    return text.count("$") > 1 or (
        "\\" in text and ("\\(" in text or "\\[" in text or "\\$" in text or "\\begin{" in text)
    )


def show(markdown: str, formulas: list[str], marks: str) -> str | None:
    """Put the formulas back into the Markdown. Returns None unless each mark is there exactly once."""
    pieces = re.split(f"{marks[0]}([0-9]+){marks[1]}", markdown)
    if sorted(map(int, pieces[1::2])) != list(range(len(formulas))):
        return None
    line = ""  # the first characters of the line of Markdown with the formula
    for at in range(1, len(pieces), 2):
        before = pieces[at - 1].rpartition("\n")
        line = before[2] if before[1] else line + before[2]
        tex = formulas[int(pieces[at])]
        pieces[at] = tex.replace("\n", "\n" + _prefix(line)) if "\n" in tex else tex
        line = line[:_LONGEST_PREFIX] + "$"
    return "".join(pieces)


def _prefix(line: str) -> str:
    """Return what the next line of the same paragraph begins with: `> ` for a quotation, spaces for a list item."""
    containers = _CONTAINERS.match(line)
    return re.sub(r"[^>\s]", " ", containers[0]) if containers else ""


def _formulas(text: str, tags: Tags) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each formula in a run of inline HTML, in order."""
    tokens = list(_TOKEN.finditer(text))
    closing: list[re.Match[str] | None] = [None] * len(tokens)
    following: dict[str, re.Match[str]] = {}  # the next token of each family
    for at in range(len(tokens) - 1, -1, -1):
        family = _FAMILY.get(tokens[at][0], "")
        closing[at] = following.get(family)
        following[family] = tokens[at]
    end = 0
    for token, other in zip(tokens, closing, strict=True):
        if token.start() < end:
            continue
        if token[0] == "\\$":
            stop = token.end() if _PRICE.match(text, token.start()) else -1
        elif token[0].startswith("\\begin"):
            ending = "\\end" + token[0].removeprefix("\\begin")
            found = text.find(ending, token.end(), token.end() + _LONGEST)
            stop = found + len(ending) if found >= 0 else -1
        else:
            is_pair = other is not None and other[0] == _CLOSING.get(token[0]) and _is_formula(text, token, other, tags)
            stop = other.end() if other is not None and is_pair else -1
        if stop >= 0:
            yield token.start(), stop
            end = stop


# Scripts that write words without spaces, or endings next to formulas: Thai to Burmese, Khmer, Han, kana, Hangul; and
# the wide punctuation.
_WIDE = (
    "\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f"
    "\uff00-\uffef\U00020000-\U0003ffff"
)
# The `+` between `$a$+$b$` is no end of a regular expression.
_BEFORE = re.compile(rf"(?:^|[\s(\[{{\"'\-/:;,.=<>|~!?&]|[^\w\x00-\x7f]|[{_WIDE}]|\$[+*])\Z")
_AFTER = re.compile(rf"(?![{_WIDE}])[\w({{\\]")  # a price or a name begins: "$5 or $6", "$HOME/$USER", "$(a).$(b)"
_APPLIED = re.compile(r"[\w\\|\[{](?=.*(?:[*^\\]|_\{)).*(?<=[\w)}\]])", re.DOTALL)  # `f*g` in "$f*g$(x)"
_JOINED = re.compile(r"(?:st|nd|rd|th|s|'s|D|d)\b|-")  # "$n$th", "$k$s", "$2$D"
# TeX commands that only formulas contain. Regular expressions (`\d+`, `\bword`) and paths contain none of them.
_COMMAND = re.compile(
    r"(?<!\\)\\(?:[{}|,;!:]|(?:frac|dfrac|tfrac|binom|sqrt|sum|prod|int|oint|lim|limsup|liminf|inf|sup|max|min|arg|"
    r"arg(?:max|min)|log|ln|exp|sin|cos|tan|sinh|cosh|tanh|arc(?:sin|cos|tan)|det|dim|ker|gcd|Pr|mod|bmod|pmod|deg|"
    r"alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|pi|varpi|rho|varrho|"
    r"sigma|varsigma|tau|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|"
    r"partial|nabla|infty|ell|hbar|Re|Im|aleph|emptyset|varnothing|forall|exists|neg|lnot|land|lor|wedge|vee|oplus|"
    r"otimes|odot|circ|bullet|star|ast|times|div|cdot|pm|mp|cap|cup|setminus|subset|supset|subseteq|supseteq|in|notin|"
    r"ni|leq?|geq?|neq?|ll|gg|approx|sim|simeq|equiv|cong|propto|perp|parallel|mid|to|gets|mapsto|(?:long|Long)?"
    r"(?:left|right|leftright)arrow|(?:Left|Right|Leftright)arrow|iff|implies|uparrow|downarrow|xrightarrow|cdots|ldots|"
    r"dots|vdots|ddots|quad|qquad|text(?:bf|it|rm|tt|sf)?|math(?:bb|bf|cal|frak|it|rm|sf|scr|tt|op|bin|rel)|boldsymbol|"
    r"bm|operatorname|mbox|hat|bar|vec|dot|ddot|tilde|widehat|widetilde|overline|underline|overbrace|underbrace|"
    r"overset|underset|stackrel|left|right|[bB]ig[lr]?|[bB]igg[lr]?|langle|rangle|lfloor|rfloor|lceil|rceil|lvert|"
    r"rvert|lVert|rVert|vert|Vert|prime|dagger|top|bot|begin|end|limits|nolimits|displaystyle|tag|label|color|cancel|"
    r"substack|therefore|because|square|triangle|angle|sharp|flat|mathbb|le|ge|ne|newcommand|renewcommand|def|require|"
    r"DeclareMathOperator)(?![A-Za-z]))"
)
# Any other command, and what shows that it is none: an escape (`\n`, `\d`), a path (`C:\dir`, `$HOME\bin`), a string.
_WITH_GROUP = re.compile(r"(?<![\\:])\\[A-Za-z]{2,}\*?\{")
_ANY_COMMAND = re.compile(r"(?<![\w\\:./~%])\\(?:[A-Za-z]{2,}|[CEFIJKLMNOPRTVY])(?![A-Za-z\\]|\.\w)")
_NO_COMMAND = re.compile(
    r"(?<!\\)\\(?:[aAbBcdDefGhHnpQrsStuUvwWxXzZ\d](?![A-Za-z])|x[\da-fA-F]{2}|u[\da-fA-F]{4})"
    r"|[A-Za-z]:\\|[A-Za-z_]{2}\\[A-Za-z]|\\\w+\\\w+\\|\""
)
_SCRIPT = re.compile(
    r"(?<![A-Za-z0-9_\\])[A-Za-z]'*[_^](?=[A-Za-z0-9{(\\*+'-])"  # x_1, y^{2}, but not snake_case
    r"|[)}\]|]'*[_^](?=[A-Za-z0-9{\\*+'-])|[_^]\{|(?<!\w)\d+\^"
)
_FUNCTIONS = "log ln exp sin cos tan max min arg sup inf lim det dim mod gcd Pr var Var Cov std erf"
_NAMES = frozenset(_FUNCTIONS.split())
_PROSE_WORDS = (
    "an and are as at be but by do for from go he if in is it me my no not of on or per so than the then to up us was"
    " we with you"
)
_PROSE = frozenset(_PROSE_WORDS.split())
# Where MathJax is used, the author types `\$5` for $5.
_PRICE = re.compile(rf"(?<!(?![{_WIDE}])\w)(?<![\\$])\\\$(?=\d+(?:[.,]\d+)*[kKmMbB]?(?![A-Za-z0-9_]))")
# What Markdown puts before the text of a line in quotations and lists.
_CONTAINERS = re.compile(r"(?:[ ]*(?:>|[-*+](?= )|\d{1,9}[.)](?= )) ?)*[ ]*")
_LINE_BREAK = re.compile(r"<br ?/?>\n?")
# The last ranges are accents, primes, raised and lowered signs, and the blocks of arrows and operators.
_ONLY_SYMBOLS = re.compile(
    r"[\w\s+\-*/=<>·×÷±|!'’.,:;()\[\]^_&~%…\u0300-\u036f\u2032-\u2034\u2070-\u209f\u2190-\u22ff\u27c0-\u27ef\u2a00-\u2aff]*"
)
_WORD = re.compile(r"[^\W\d_]+")
# One or two letters, Latin, Greek or of mathematics, with raised or lowered letters and digits.
_SHORT = re.compile(
    "[A-Za-z\u0127\u0391-\u03a9\u03b1-\u03c9\u03d1\u03d5\u03d6\u03f0\u03f1\u03f5\u2100-\u214f\U0001d400-\U0001d7ff]{0,2}"
    "[\xb2\xb3\xb9\u02b0-\u02b8\u1d2c-\u1d6a\u2070-\u209f]*"
)
# What no formula of longer words contains: words side by side, one-sided spaces at `*`, punctuation, operators of code,
# and a name next to a word of another script.
_NO_EXPRESSION = re.compile(
    rf"[\w)\]]\s+[\w(\[]|\s\*+[^\s*]|[^\s*]\*+\s|[!:;&~%’…\n]|(?<!\w)['.]|'(?=\w)|\.(?!\w)|->|=>|==|\+\+|--|\|\||[-+*/]=|/\*|\*/"
    rf"|[A-Za-z0-9][{_WIDE}]|[{_WIDE}][A-Za-z0-9]|[{_WIDE}]{{9}}"
)
_OPERATION = re.compile(r"[\w)\]|]\s*(?:\*+|[=<>≤≥≠≈≡∈·×])\s*[\w(\[|+\-−√∑∏∂∇]")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_LONGEST_EXPRESSION = 300
# Symbols that TeX reads as text only behind a backslash, and the break of a line.
_ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\[%$#_&]|(?<=\s)\\\\(?=\s)")
_NEW_LINE = re.compile(r"\\\\(?![A-Za-z]{2})")
_TWO_WORDS = re.compile(r"(?<![A-Za-z])[A-Za-z]{3,} +[A-Za-z]{3,}")
_GROUP = re.compile(r"\\(?:text|math|operatorname|mbox|label|tag|begin|end|color)[a-z]*\*?\s*\{[^{}]*\}")


def _is_formula(text: str, opening: re.Match[str], closing: re.Match[str], tags: Tags) -> bool:
    """Return whether the text between two delimiters is TeX."""
    start, stop = opening.end(), closing.start()
    if stop - start > _LONGEST or any(
        match.start() not in tags and not match[0].startswith("<br") for match in INLINE_TAG.finditer(text, start, stop)
    ):
        return False
    tex = _tex(text, start, stop, tags)
    if not tex.strip() or not _balanced(tex):
        return False
    has_command = _COMMAND.search(tex) is not None
    if opening[0] == "$" and not _is_delimited(text, opening, closing, tex, has_command):
        return False
    if has_command:
        return True
    plain = _GROUP.sub(" ", tex)
    if any(word in _PROSE for word in re.findall(r"(?<=\s)[A-Za-z]+(?=\s)", plain)):
        return False
    is_dollar = opening[0][0] == "$"
    if _SCRIPT.search(plain):
        return not _TWO_WORDS.search(plain)
    if "\\" in tex and _has_other_command(tex, opening[0]) and not _TWO_WORDS.search(plain):
        return True
    plain, symbols = _ESCAPED.subn("%", plain)
    if symbols and not _TWO_WORDS.search(plain) and (is_dollar or re.search(r"\w", plain)):
        return _ONLY_SYMBOLS.fullmatch(plain) is not None
    plain = _NEW_LINE.sub(" ", plain)
    words = _WORD.findall(plain)
    if not words or not _ONLY_SYMBOLS.fullmatch(plain):
        return False
    return all(word in _NAMES or _SHORT.fullmatch(word) for word in words) or (is_dollar and _is_expression(plain))


def _has_other_command(tex: str, delimiter: str) -> bool:
    """Return whether a backslash and letters are a command of TeX, though none of those that only formulas contain."""
    if _NO_COMMAND.search(tex) or (delimiter == "$" and "\n" in tex):
        return False
    if _WITH_GROUP.search(tex):
        return True
    # The parentheses of a regular expression are `\(…\)`, and Haskell has functions such as `$ \key -> find key $`.
    is_code = delimiter[0] != "$" or (delimiter == "$" and tex[0].isspace())
    return not is_code and _ANY_COMMAND.search(tex) is not None


def _is_expression(tex: str) -> bool:
    """Return whether operators join all words, as in `error = predicted*actual` and `softmax(W*x + b)`."""
    if len(tex) > _LONGEST_EXPRESSION or not _OPERATION.search(tex) or _NO_EXPRESSION.search(tex):
        return False
    outer, count = tex.strip(), 1
    while count:
        outer, count = _BRACKETS.subn("0", outer)
    return outer != "0" and re.fullmatch(r"[\w|+\-−√∑∏∂∇][^,()\[\]]*[\w|]", outer) is not None


def _is_delimited(text: str, opening: re.Match[str], closing: re.Match[str], tex: str, has_command: bool) -> bool:
    """Return whether two single dollar signs can stand around a formula, judged by the characters next to them."""
    before = _without_tags(text[max(0, opening.start() - 60) : opening.start()])[-2:]
    after = _without_tags(text[closing.end() : closing.end() + 60])
    if not _BEFORE.search(before) or tex[0].isspace() != tex[-1].isspace() or tex[0] == ")":
        return False
    if _AFTER.match(after) and not _JOINED.match(after) and not (after[0] == "(" and _APPLIED.fullmatch(tex)):
        return False
    if "<" in tex and tex.endswith(">"):  # angle brackets, as in "$<x>$"
        return True
    return has_command or not re.search(r"(?<![_^])[-+/=,:;<>&(\[.]\s*$", tex)


def _without_tags(html: str) -> str:
    return INLINE_TAG.sub("", _LINE_BREAK.sub("\n", html))


def _balanced(tex: str) -> bool:
    depth = 0
    for match in re.finditer(r"\\.|[{}]", tex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth < 0:
            return False
    return depth == 0


# Emphasis that Markdown made of the `_` and `*` of a formula ----------------------------------------------------------


def _emphasis(text: str) -> Tags:
    """Return the emphasis tags of a text."""
    tags: Tags = {}
    opened: list[re.Match[str]] = []
    for tag in INLINE_TAG.finditer(text):
        if tag[0] in ("<em>", "<strong>"):
            opened.append(tag)
        elif tag[0] in ("</em>", "</strong>") and opened and opened[-1][0][1:] == tag[0][2:]:
            start = opened.pop()
            typed = "**" if tag[0] == "</strong>" else _typed(text, start, tag)
            tags[start.start()] = typed, tag.start()
            tags[tag.start()] = typed, start.start()
    return tags


def _typed(text: str, opening: re.Match[str], closing: re.Match[str]) -> str:
    """Return `_` if both tags are where TeX has a subscript, else `*`. TeX has no double subscript such as `a_b_c`."""
    content = text[opening.end() : closing.start()]
    if len(content) < 50 and re.fullmatch(r"\{[^{}]*\}|\\[A-Za-z]+|\S", content):
        return "*"
    for tag in (opening, closing):
        if not re.fullmatch(r"[A-Za-z})\]']", text[tag.start() - 1 : tag.start()]):
            return "*"
        if not re.match(r"[A-Za-z0-9{\\]", text[tag.end() : tag.end() + 1]):
            return "*"
    return "_"


def _orphans(text: str, tags: Tags, spans: list[tuple[int, int]]) -> Tags:
    """Return the tags whose other tag is within a formula, so that neither is emphasis."""
    inside = (tag.start() for start, stop in spans for tag in INLINE_TAG.finditer(text, start, stop))
    return {tags[start][1]: tags[start] for start in inside if start in tags}


def _tex(text: str, start: int, stop: int, tags: Tags) -> str:
    """Return a formula as its author typed it."""
    return unescape(_LINE_BREAK.sub("\n", _as_typed(text, start, stop, tags)))


def _as_typed(text: str, start: int, stop: int, tags: Tags) -> str:
    """Return a part of the text in which these tags are the characters that the author typed."""
    part = text[start:stop]
    if not tags:
        return part
    return INLINE_TAG.sub(lambda tag: tags[start + tag.start()][0] if start + tag.start() in tags else tag[0], part)
