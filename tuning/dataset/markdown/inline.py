"""Write inline HTML (text, emphasis, code, links and images) as Markdown with as few backslashes as possible.

Emphasis that the delimiters of Markdown cannot express (of part of a word, next to punctuation) remains as HTML, which
CommonMark allows.
"""

import re
import string
import unicodedata
from itertools import takewhile

from tuning.dataset.markdown.tree import IGNORED, Node, children, code_pieces, code_text, joined, tag_of

MAXIMUM_DEPTH = 80
SPACES = re.compile(r"[ \t\r\n\f]+")
EMPHASIS = {"em": "*", "i": "*", "strong": "**", "b": "**", "del": "~~"}  # other tags, such as `<span>`, are removed
_TAGS = {"*": "em", "_": "em", "**": "strong", "~~": "del"}
_BOUNDARY = " \n" + string.punctuation
SPECIAL = re.compile(r"[\\`*_<&\]~]")
# Special characters that need no backslash, because of their context.
HARMLESS = re.compile(
    r"\\(?![!-/:-@\[-`{-~]|$)"  # a backslash before a letter, a digit or a space
    r"|(?<= )\*(?= )"  # an asterisk between two spaces
    r"|(?<=[^\W_])_(?=[^\W_])"  # an underscore within a word
    r"|<(?![A-Za-z/!?])"
    r"|&(?!#?\w{1,31};)"
    r"|\](?![(\[:]|$)"
    r"|(?<= )~(?![~ ]|$)"  # a single tilde that can only start struck text, which another one would have to end
)
_AUTOLINK = re.compile(r"https?://[!-$&-;=?-~]+")  # without `%`, which some renderers decode in the displayed text


class TooDeep(Exception):  # noqa: N818 - a reason to drop a body, not a failure
    """Signal that elements are nested deeper than in any real post."""


class InlineWriter:
    """Write inline content as Markdown. A `<br>` becomes two spaces and a line feed.

    With `tags`, all emphasis becomes `<em>`, `<strong>` or `<del>`. Use it for texts in which CommonMark would misread
    the delimiters `*` and `_`.
    """

    def __init__(self, base_url: str, tags: bool) -> None:
        self.base_url = base_url
        self.tags = tags
        self.in_link = False

    def write(self, nodes: list[str | Node], depth: int) -> str:
        """Write text and elements as one string. Raises TooDeep if elements are nested too deeply."""
        if depth > MAXIMUM_DEPTH:
            raise TooDeep
        text = ""
        for position, node in enumerate(nodes):
            if isinstance(node, str):
                words = _escaped(node, brackets=self.in_link)
                text += words.lstrip(" ") if text.endswith((" ", "\n")) else words
                continue
            tag = tag_of(node)
            if tag in IGNORED:
                continue
            if tag == "br":
                # Two line breaks in a row would end the paragraph.
                text += "" if _next_tag(nodes, position + 1) == "br" else "  \n"
            elif tag == "img":
                text = _before_bracket(text) + self.image(node)
            elif tag == "code" and len(node):
                text += self.write(code_pieces(node), depth + 1)
            elif tag == "code":
                # Adjacent pieces of code become one, because their backticks would be read as one delimiter.
                if not (position and _is_plain_code(nodes[position - 1])):
                    run = takewhile(_is_plain_code, (nodes[at] for at in range(position, len(nodes))))
                    text += code_span("".join(code_text(code) for code in run if not isinstance(code, str)))
            elif tag == "a" and node.get("href"):
                text = _before_bracket(text) + self.link(node, depth)
            elif tag in EMPHASIS:
                text += self.emphasis(node, text[-1:], nodes[position + 1 : position + 2], depth)
            else:
                text += self.write(children(node), depth + 1)
        return text

    def emphasis(self, node: Node, before: str, rest: list[str | Node], depth: int) -> str:
        """Write an emphasized element. Uses HTML tags if CommonMark would not read the delimiters as emphasis.

        `before` is the preceding character, `rest` is the following node, if any. Raises TooDeep.
        """
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
        opens = (not _is_symbol(text[0]) or before in _BOUNDARY) and before not in "*_~"
        closes = (not _is_symbol(text[-1]) or after in _BOUNDARY) and after not in "*_~"
        whole = mark != "_" or not (before.isalnum() or after.isalnum())
        if opens and closes and whole and not self.tags and mark[0] not in (text[0], text[-1]):
            return f"{lead}{mark}{text}{mark}{trail}"
        tag = _TAGS[mark]
        return f"{lead}<{tag}>{text}</{tag}>{trail}"

    def link(self, node: Node, depth: int) -> str:
        """Write a link with its absolute URL. Raises TooDeep if elements are nested too deeply."""
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
        """Write an image with its absolute URL."""
        url = joined(self.base_url, node.get("src"))
        text = _escaped((node.get("alt") or "").strip(), brackets=True)
        return f"![{text}]({_destination(url)}{_title(node.get('title'))})"


def _escaped(text: str, *, brackets: bool) -> str:
    """Escape the characters of prose that would be read as Markdown.

    With `brackets`, escape all brackets, which the text of a link or an image requires.
    """
    text = SPACES.sub(" ", text)
    text = SPECIAL.sub(lambda match: match[0] if HARMLESS.match(text, match.start()) else "\\" + match[0], text)
    return re.sub(r"(?<!\\)[\[\]]", r"\\\g<0>", text) if brackets and ("[" in text or "]" in text) else text


def code_span(code: str) -> str:
    """Write inline code between backticks.

    The delimiter has a length that no run of backticks in the code has. A space is added at both ends if the code
    starts or ends with a backtick, or if CommonMark would remove its spaces there.
    """
    if not code:
        return ""
    code = re.sub(r"[\r\n]", " ", code)
    runs = {len(run) for run in re.findall("`+", code)}
    ticks = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    padded = code[0] == "`" or code[-1] == "`" or (code[0] == code[-1] == " " and code.strip(" "))
    return f"{ticks} {code} {ticks}" if padded else f"{ticks}{code}{ticks}"


# Parentheses that are unbalanced or nested more than once: CommonMark could end the destination at the wrong one.
_UNBALANCED = re.compile(r"^(?!(?:[^()]|\([^()]*\))*$)")


def _destination(url: str) -> str:
    url = re.sub(r"[\x00-\x20<>]", lambda match: f"%{ord(match.group()):02X}", url)
    url = re.sub(r"&(?=#?\w{1,31};)", "&amp;", url).replace("\\", "%5C")
    return f"<{url}>" if _UNBALANCED.search(url) else url


def _title(title: str | None) -> str:
    if not title:
        return ""
    return ' "' + re.sub(r'(["\\]|&(?=#?\w{1,31};))', r"\\\1", SPACES.sub(" ", title)) + '"'


def _next_tag(nodes: list[str | Node], start: int) -> str:
    """Return the tag of the first node from `start` on that is not white space, or '' if that node is text."""
    later = (nodes[at] for at in range(start, len(nodes)))
    following = next((node for node in later if not isinstance(node, str) or node.strip(" \t\n")), "")
    return "" if isinstance(following, str) else tag_of(following)


def _is_plain_code(node: str | Node) -> bool:
    return not isinstance(node, str) and tag_of(node) == "code" and not len(node)


def _within_strong(node: Node) -> bool:
    parent = node.getparent()
    return parent is not None and tag_of(parent) in ("strong", "b")


def _is_symbol(character: str) -> bool:
    """Return whether this is punctuation, a symbol or a space. Next to a word, emphasis cannot start or end with it."""
    return unicodedata.category(character)[0] in "PSZ"


def _before_bracket(text: str) -> str:
    """Escape a final `!`, which would turn the following link into an image."""
    return text[:-1] + "\\!" if text.endswith("!") else text
