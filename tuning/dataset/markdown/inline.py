"""Inline HTML as Markdown: text with no more backslashes than it needs, emphasis, code, links and images.

What Markdown has no form for (`<kbd>`, `<sup>`, emphasis of part of a word) is written as the HTML that CommonMark
allows.
"""

import re
import string
import unicodedata

from tuning.dataset.markdown.tree import IGNORED, Node, children, code_text, joined, tag_of

MAXIMUM_DEPTH = 80
SPACES = re.compile(r"[ \t\r\n\f]+")
EMPHASIS = {"em": "*", "i": "*", "strong": "**", "b": "**"}
# Those that Markdown has no form for stay as they are; any other, such as `<span>`, is let go.
KEPT_INLINE = frozenset(
    {"sub", "sup", "kbd", "s", "del", "strike", "ins", "small", "u", "mark", "abbr", "cite", "q", "samp"}
)
_BOUNDARY = " \n" + string.punctuation
SPECIAL = re.compile(r"[\\`*_<&\]]")
# Which of those stand for themselves where they are.
HARMLESS = re.compile(
    r"\\(?![!-/:-@\[-`{-~]|$)"  # a backslash before a letter, a digit or a blank
    r"|(?<= )\*(?= )"  # a star between two blanks
    r"|(?<=[^\W_])_(?=[^\W_])"  # an underscore within a word
    r"|<(?![A-Za-z/!?])"
    r"|&(?!#?\w{1,31};)"
    r"|\](?![(\[:]|$)"
)
_AUTOLINK = re.compile(r"https?://[!-$&-;=?-~]+")  # with a `%` some renderers show another text


class TooDeep(Exception):  # noqa: N818 - a reason to drop a body, not a failure
    """Elements nested deeper than any post nests them."""


class InlineWriter:
    """Writes inline content; a line's end, from `<br>`, is two blanks and a line feed.

    `tags` writes every emphasis as `<em>` or `<strong>`, for texts where stars and underscores beside others mislead.
    """

    def __init__(self, base_url: str, tags: bool) -> None:
        self.base_url = base_url
        self.tags = tags
        self.in_link = False

    def write(self, nodes: list[str | Node], depth: int) -> str:
        """Text and elements as one string. Raises TooDeep."""
        if depth > MAXIMUM_DEPTH:
            raise TooDeep
        text = ""
        for position, node in enumerate(nodes):
            if isinstance(node, str):
                words = _escaped(node, brackets=self.in_link)
                text += words.lstrip(" ") if text.endswith((" ", "\n")) else words
                continue
            rest = nodes[position + 1 :]
            tag = tag_of(node)
            if tag in IGNORED:
                continue
            if tag == "br":
                # Two ends of line in a row would end the paragraph.
                text += "<br>" if _next_tag(rest) == "br" else "  \n"
            elif tag == "img":
                text = _before_bracket(text) + self.image(node)
            elif tag == "code" and len(node):  # a link or emphasis within code: only HTML holds that
                text += f"<code>{self.write(children(node), depth + 1)}</code>"
            elif tag == "code":
                text += code_span(code_text(node))
            elif tag == "a" and node.get("href"):
                text = _before_bracket(text) + self.link(node, depth)
            elif tag in EMPHASIS:
                text += self.emphasis(node, text[-1:], rest, depth)
            elif tag in KEPT_INLINE:
                text += f"<{tag}>{self.write(children(node), depth + 1)}</{tag}>"
            else:
                text += self.write(children(node), depth + 1)
        return text

    def emphasis(self, node: Node, before: str, rest: list[str | Node], depth: int) -> str:
        inner = self.write(children(node), depth + 1)
        text = inner.strip(" ")
        if not text:
            return inner
        lead, trail = inner[: len(inner) - len(inner.lstrip(" "))], inner[len(inner.rstrip(" ")) :]
        mark = EMPHASIS[tag_of(node)]
        if mark == "*" and (_within_strong(node) or "*" in (text[0], text[-1])):
            mark = "_"
        before = " " if lead else before or " "
        after = " " if trail or not rest else rest[0][0] if isinstance(rest[0], str) else "`"
        opens = (not _is_symbol(text[0]) or before in _BOUNDARY) and before not in "*_"
        closes = (not _is_symbol(text[-1]) or after in _BOUNDARY) and after not in "*_"
        whole = mark != "_" or not (before.isalnum() or after.isalnum())
        if opens and closes and whole and not self.tags and mark[0] not in (text[0], text[-1]):
            return f"{lead}{mark}{text}{mark}{trail}"
        tag = "strong" if mark == "**" else "em"
        return f"{lead}<{tag}>{text}</{tag}>{trail}"

    def link(self, node: Node, depth: int) -> str:
        url = joined(self.base_url, node.get("href"))
        words = "".join(node.itertext())
        title = node.get("title")
        if words == url and not title and _AUTOLINK.fullmatch(url) and len(node) == 0:
            return f"<{url}>"
        outer, self.in_link = self.in_link, True
        text = self.write(children(node), depth + 1)
        self.in_link = outer
        return f"[{text}]({_destination(url)}{_title(title)})"

    def image(self, node: Node) -> str:
        url = joined(self.base_url, node.get("src"))
        text = _escaped((node.get("alt") or "").strip(), brackets=True)
        return f"![{text}]({_destination(url)}{_title(node.get('title'))})"


def _escaped(text: str, *, brackets: bool) -> str:
    """Prose with a backslash before what would be read as Markdown, and before little else; before all brackets in the
    text of a link or an image."""
    text = SPACES.sub(" ", text)
    text = SPECIAL.sub(lambda match: match[0] if HARMLESS.match(text, match.start()) else "\\" + match[0], text)
    return re.sub(r"(?<!\\)[\[\]]", r"\\\g<0>", text) if brackets and ("[" in text or "]" in text) else text


def code_span(code: str) -> str:
    """Inline code, delimited by more backticks than any run inside; CommonMark takes one space off each end."""
    if not code:
        return ""
    code = re.sub(r"[\r\n]", " ", code)
    runs = {len(run) for run in re.findall("`+", code)}
    ticks = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    padded = code[0] == "`" or code[-1] == "`" or (code[0] == code[-1] == " " and code.strip(" "))
    return f"{ticks} {code} {ticks}" if padded else f"{ticks}{code}{ticks}"


# Parentheses that no one level of pairs explains: CommonMark would end the destination at the wrong one.
_UNBALANCED = re.compile(r"^(?!(?:[^()]|\([^()]*\))*$)")


def _destination(url: str) -> str:
    url = re.sub(r"[\x00-\x20<>]", lambda match: f"%{ord(match.group()):02X}", url)
    url = re.sub(r"&(?=#?\w{1,31};)", "&amp;", url).replace("\\", "%5C")
    return f"<{url}>" if _UNBALANCED.search(url) else url


def _title(title: str | None) -> str:
    if not title:
        return ""
    return ' "' + re.sub(r'(["\\]|&(?=#?\w{1,31};))', r"\\\1", SPACES.sub(" ", title)) + '"'


def _next_tag(nodes: list[str | Node]) -> str:
    """The tag of what follows, white space aside; '' for text."""
    following = next((node for node in nodes if not isinstance(node, str) or node.strip(" \t\n")), "")
    return "" if isinstance(following, str) else tag_of(following)


def _within_strong(node: Node) -> bool:
    parent = node.getparent()
    return parent is not None and tag_of(parent) in ("strong", "b")


def _is_symbol(character: str) -> bool:
    """Punctuation or a symbol: beside a word, emphasis cannot begin or end there."""
    return unicodedata.category(character)[0] in "PSZ"


def _before_bracket(text: str) -> str:
    """`!` before a link would make it an image."""
    return text[:-1] + "\\!" if text.endswith("!") else text
