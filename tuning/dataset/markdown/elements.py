"""Rewrite elements that have no Markdown form as elements, text or Unicode characters that have one.

| HTML | becomes |
|---|---|
| `<s>`, `<strike>`, `<del>` | `<del>` within one line each, which Markdown writes as `~~…~~` |
| `<sup>`, `<sub>` | `x²`, `x₁`; `x^k`, `x_(max)y`, `x^(k+m)`; footnotes, ordinals and small print become text |
| `<kbd>`, `<samp>`, `<tt>`, `<var>` | `<code>` |
| `<br><br>` | a new paragraph, or one line break where a paragraph cannot end |
| `<details>`, `<summary>`, `<figure>` and the like | a block, with the summary in bold |
| `<q>` | quotation marks |
| non-breaking spaces at the start or end of a paragraph or line | nothing: they only move the text |
| `<ins>`, `<u>`, `<small>`, `<mark>`, `<abbr>`, `<cite>` | their content |
"""

import re
from collections.abc import Iterator

from tuning.dataset.sieve import SPACE, Sieve

_BLOCK_OR_LINE = r"p|br|li|h\d|blockquote|div|td"
# What `simplify` changes. Most posts have none of it.
_RARE = Sieve(
    {
        "element": r"(?i)<(?:s|sub|sup|strike|samp|small|summary|section|del|kbd|tt|var|q|ins|u|big|mark|abbr|cite"
        r"|details|figure|figcaption|article|aside|header|footer|main|center)\b",
        "line breaks": rf"(?i)<br ?/?>{SPACE}*<br",
        "space at a start": rf"(?i)<(?:{_BLOCK_OR_LINE})\b[^<>]*>{SPACE}*\x{{a0}}",
        "space at an end": rf"(?i)\x{{a0}}{SPACE}*</?(?:{_BLOCK_OR_LINE})\b",
    }
)


def simplify(html: str) -> str:
    """Return the HTML with only such elements as Markdown has."""
    if not _RARE.search(html):
        return html
    if "\xa0" in html:
        html = _EMPTY.sub("", _SPACE_AT_END.sub("", _SPACE_AT_START.sub(r"\1", html)))
    html = _SUMMARY.sub(_summary, html)
    html = _BLOCK.sub(r"<\1div>", html)
    html = _KEYS.sub("</kbd> <kbd>", html)
    html = _QUOTE.sub(lambda match: "”" if match[1] else "“", html)
    html = _AS_CODE.sub(r"<code>\1</code>", html)
    for _ in range(3):  # inner elements first; real posts nest no deeper
        html = _SCRIPT.sub(_script, html)
    html = _SCRIPT_OF_CODE.sub(_script_of_code, html)
    html = _UNMARKED.sub("", html)
    html = _STRUCK.sub(r"<\1del>", html)
    if _BREAKS.search(html):
        html = _paragraphs(html)
    return "".join(_struck_by_line(html)).replace("</del><del>", "") if "del>" in html else html


_SPACE_AT_START = re.compile(rf"(<(?:{_BLOCK_OR_LINE})\b[^<>]*>)\s*\xa0\s*", re.IGNORECASE)
_SPACE_AT_END = re.compile(rf"(?<!\s)(?=[^\S\xa0]*\xa0)\s+(?=</?(?:{_BLOCK_OR_LINE})\b)", re.IGNORECASE)
_EMPTY = re.compile(r"<p></p>", re.IGNORECASE)
_SUMMARY = re.compile(r"<summary\b[^<>]*>((?:[^<]|<(?!/?summary\b|/?details\b))*)</summary>", re.IGNORECASE)
_BLOCK = re.compile(
    r"<(/?)(?:details|summary|figure|figcaption|article|aside|section|header|footer|main|center)\b[^<>]*>",
    re.IGNORECASE,
)
_IN_SUMMARY = re.compile(r"<(?:p|h[1-6]|ul|ol|pre|div|blockquote|table|strong|b)\b", re.IGNORECASE)
_KEYS = re.compile(r"</kbd><kbd>", re.IGNORECASE)
_QUOTE = re.compile(r"<(/?)q\b[^<>]*>", re.IGNORECASE)
_AS_CODE = re.compile(r"<(?:kbd|samp|tt|var)\b[^<>]*>([^<]+)</(?:kbd|samp|tt|var)>", re.IGNORECASE)
_UNMARKED = re.compile(r"</?(?:kbd|samp|tt|var|su[bp]|ins|u|small|big|mark|abbr|cite)\b[^<>]*>", re.IGNORECASE)
_STRUCK = re.compile(r"<(/?)(?:s|strike|del)\b[^<>]*>", re.IGNORECASE)


def _summary(match: re.Match[str]) -> str:
    text = match[1].strip()
    if not text:
        return ""
    return f"<div>{text}</div>" if _IN_SUMMARY.search(text) else f"<p><strong>{text}</strong></p>"


# Superscripts and subscripts ------------------------------------------------------------------------------------------

_SCRIPT = re.compile(
    r"<(su[bp])\b[^<>]*>\s*(?:<(em|i|strong|b)>)?([^<]*)(?:</(?:em|i|strong|b)>)?\s*</\1>", re.IGNORECASE
)
_INLINE_END = re.compile(r"</(?:em|i|strong|b|code|a|span|su[bp])>\Z", re.IGNORECASE)
_RAISED = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
_LOWERED = str.maketrans("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
# Longer words as small letters (`xₘₐₓ`) are hard to read, so they are written as `x_max`.
_AS_RAISED = re.compile(r"[0-9+\-−=()]*(?:[ni][0-9+\-−=()]*)?")
_AS_LOWERED = re.compile(r"[0-9+\-−=()]*(?:[aehijklmnoprstuvx]{1,2}[0-9+\-−=()]*)?")
_WORD_FOLLOWS = re.compile(r"(?:</?(?:em|i|strong|b)>)*\w", re.IGNORECASE)
_ORDINAL = re.compile(r"st|nd|rd|th", re.IGNORECASE)
_FOOTNOTE = re.compile(r"[*†‡§¶#®™]+|\[[^\]]*\]|&[a-z]+;|[¹²³⁰-⁹₀-₉]+")


def _script(match: re.Match[str]) -> str:
    """Return the content of a superscript or subscript without the tags."""
    is_raised, text = match[1].lower() == "sup", match[3].strip()
    before = match.string[max(0, match.start() - 12) : match.start()]
    is_attached = before[-1:] not in ("", " ", "\n", "\t", "\xa0", ">") or _INLINE_END.search(before) is not None
    if not text or (is_raised and _ORDINAL.fullmatch(text) and before[-1:].isdigit()) or _FOOTNOTE.fullmatch(text):
        return text
    if is_raised and text.upper() in ("TM", "(TM)", "R", "(R)") and before[-1:].isalpha():
        return "™" if "T" in text.upper() else "®"
    if (_AS_RAISED if is_raised else _AS_LOWERED).fullmatch(text):
        return text.translate(_RAISED if is_raised else _LOWERED)
    if not is_attached:
        return re.sub(r"\A<[^<>]*>|<[^<>]*>\Z", "", match[0]).strip()
    if len(text.split()) > 2:  # small print after a word
        return f" {text}"
    # Without brackets, a letter that follows would be read as part of the script.
    is_one = (
        len(text) == 1 or re.fullmatch(r"[A-Za-z0-9]+|\(.*\)", text, re.DOTALL) is not None
    ) and not _WORD_FOLLOWS.match(match.string, match.end())
    return ("^" if is_raised else "_") + (text if is_one else f"({text})")


_SCRIPT_OF_CODE = re.compile(r"(?<=[^\s>])<(su[bp])\b[^<>]*>\s*(<code>[^<]*</code>)\s*</\1>", re.IGNORECASE)


def _script_of_code(match: re.Match[str]) -> str:
    """Return `2^` and the code, because `2` and the code alone would read as a product."""
    return ("^" if match[1].lower() == "sup" else "_") + match[2]


# Line breaks and struck text ------------------------------------------------------------------------------------------

_BREAKS = re.compile(r"(?:<br ?/?>\s*){2,}", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)\b[^<>]*>")
_INLINE = frozenset({"em", "strong", "b", "i", "a", "code", "span", "font", "del"})


def _paragraphs(html: str) -> str:
    """Replace each run of line breaks by the end of the paragraph, or by one line break where it cannot end."""
    first, *paragraphs = html.split("<p>")
    pieces = [_BREAKS.sub("<br>", first)]
    for paragraph in paragraphs:
        inner, end, rest = paragraph.partition("</p>")
        done = depth = 0
        text = ""
        for breaks in _BREAKS.finditer(inner):
            depth += sum(-1 if tag[1] else 1 for tag in _TAG.finditer(inner, done, breaks.start()) if tag[2] in _INLINE)
            text += inner[done : breaks.start()] + ("<br>" if depth or not end else "</p>\n<p>")
            done = breaks.end()
        pieces.append("<p>" + text + inner[done:] + end + _BREAKS.sub("<br>", rest))
    return "".join(pieces)


def _struck_by_line(html: str) -> Iterator[str]:
    """Yield the HTML with each struck text as `<del>` elements that are not nested and contain no block or line break.

    A `<del>` without an end extends to the end of its block. Code blocks are put into a `<del>` as a whole.
    """
    unclosed = _unclosed(html)
    depth, in_block = 0, False  # `<del>` elements that are open: those with an end, and one without
    opened: list[tuple[str, str]] = []  # the inline elements that are open in the output: name and tag
    end, code = 0, ""

    def closed(name: str) -> str:
        """Close the innermost element of this name. Elements within it are closed and opened again."""
        at = max(at for at, (other, _) in enumerate(opened) if other == name)
        inner = opened[at + 1 :]
        opened[at:] = inner if name == "del" else [one for one in inner if one[0] != "del"]
        again = "".join(tag for other, tag in inner if name == "del" or other != "del")
        return "".join(f"</{other}>" for other, _ in reversed(inner)) + f"</{name}>" + again

    def is_open(name: str) -> bool:
        return any(other == name for other, _ in opened)

    for tag in _TAG.finditer(html + "<hr>"):
        name, is_end, text = tag[2].lower(), tag[1] == "/", html[end : tag.start()]
        end = tag.end()
        starts = not code and (text.strip() or name == "img" or (name in _INLINE - {"del"} and not is_end))
        if starts and (depth or in_block) and not is_open("del"):
            space = len(text) - len(text.lstrip())
            yield text[:space]
            yield "<del>"
            text = text[space:]
            opened.append(("del", "<del>"))
        yield text
        if code:
            code = "" if is_end and name == code else code
            yield tag[0] + ("</del>" if not code and depth else "") if name != "del" else ""
        elif name == "del":
            if tag.start() in unclosed:
                in_block = in_block or not is_end
            else:
                depth += -1 if is_end else 1
            if not depth and not in_block and is_open("del"):
                yield closed("del")
        elif name in _INLINE:
            if not is_end:
                opened.append((name, tag[0]))
                yield tag[0]
            elif is_open(name):
                yield closed(name)
        elif name == "img":
            yield tag[0]
        else:
            if is_open("del"):
                yield closed("del")
            in_block = in_block and name == "br"
            code = name if name == "pre" and not is_end else ""
            yield ("<del>" if code and depth else "") + (tag[0] if tag.start() < len(html) else "")


def _unclosed(html: str) -> set[int]:
    """Return the starts of `<del>` tags without an end, and of `</del>` tags without a start."""
    opened: list[int] = []
    unclosed: set[int] = set()
    for tag in re.finditer(r"<(/?)del>", html):
        if not tag[1]:
            opened.append(tag.start())
        elif opened:
            opened.pop()
        else:
            unclosed.add(tag.start())
    return unclosed.union(opened)
