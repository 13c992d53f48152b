"""What a reader gets from HTML: code, links, lists and prose. Read with the standard library's parser and compared with
what markdown-it-py renders, so that nothing is shared with the check that conversion makes at run time."""

import dataclasses
import re
import unicodedata
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import quote, urljoin

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_STRUCTURE = frozenset({"ul", "ol", "li", "blockquote", "hr", "table", "tr", "td", "th", "dl", "dt", "dd"}) | {
    f"h{level}" for level in range(1, 7)
}
_BLOCKS = _STRUCTURE | {"p", "div", "pre", "thead", "tbody", "section", "br"}
_MARKED = {"strong": "strong", "b": "strong", "em": "em", "i": "em"}
_STRUCK = frozenset({"s", "strike", "del"})
_CODE = frozenset({"code", "kbd", "samp", "tt"})
# Characters in code that Python does not read: spaces of other kinds, and characters that are not seen.
_UNREADABLE = {ord(c): " " for c in "\u00a0\u2002\u2003\u2005\u2009\u200a\u202f\u3000"} | dict.fromkeys(
    map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202c\ufeff")
)
_VOID = frozenset(["br", "hr", "img", "input"])
_SPACES = re.compile(r"[ \t\r\n\f]+")
_BORDER = "\x1c"  # between blocks and lines; for Python it is a space
_AT_BORDER = re.compile(rf"\s*{_BORDER}\s*")  # with non-breaking spaces, which only move text there


@dataclass
class Content:
    """Lists in the order of the text."""

    blocks: list[str] = field(default_factory=list)  # code blocks, byte for byte but for blank lines at the edges
    inline: list[str] = field(default_factory=list)  # inline code, line ends as blanks
    links: list[tuple[str, str, str]] = field(default_factory=list)  # URL, title, text
    images: list[tuple[str, str]] = field(default_factory=list)  # URL, alternative text
    structure: list[str] = field(default_factory=list)  # tags of lists, quotations, headings, tables
    marked: list[tuple[str, str]] = field(default_factory=list)  # emphasis with its text
    struck: list[str] = field(default_factory=list)  # words of struck text
    prose: list[str] = field(default_factory=list)  # words outside code blocks

    def fold(self) -> None:
        """Write superscripts and subscripts as the characters that they stand for."""

        def folded(text: str) -> str:
            return re.sub(r"[\s^_()]", "", unicodedata.normalize("NFKC", text).replace("\u2212", "-"))

        self.prose = [folded("".join(self.prose))]
        self.marked = sorted((name, folded(text)) for name, text in self.marked)
        self.links = [(url, title, folded(text)) for url, title, text in self.links]
        self.struck = [folded("".join(self.struck))]


def differences(html: str, markdown: str, base_url: str) -> dict[str, tuple[object, object]]:
    """The differences between the content of the HTML and of the rendered Markdown.

    Superscripts and subscripts are other characters in Markdown (`x²`, `x_max`), so these texts are compared without
    the characters that can differ.
    """
    expected, got = read_html(html, base_url), read_markdown(markdown, base_url)
    if re.search("<su[bp]>", html):
        expected.fold()
        got.fold()
    names = [one.name for one in dataclasses.fields(Content)]
    return {name: (a, b) for name in names if (a := getattr(expected, name)) != (b := getattr(got, name))}


def read_html(html: str, base_url: str) -> Content:
    reader = _Reader(base_url)
    reader.feed(html.replace("\r\n", "\n"))
    reader.close()
    return reader.finished()


def read_markdown(markdown: str, base_url: str) -> Content:
    return read_html(_MARKDOWN.render(markdown), base_url)


class _Reader(HTMLParser):
    def __init__(self, base_url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base_url = base_url + "/"
        self.content = Content()
        self.text: list[str] = []  # outside code blocks
        self.open: list[tuple[str, int, tuple[str, ...]]] = []  # tag, where its text began, what else it says
        self.block: list[str] | None = None
        self.code_end = -1  # where the text of the last inline code ended

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self.text.append(_BORDER)
        if tag in _STRUCTURE:
            number = said.get("start") or "1"
            start = f" {int(number) if re.fullmatch('[0-9]+', number) else 1}" if tag == "ol" else ""
            self.content.structure.append(f"{'td' if tag == 'th' else tag}{start}")
        if tag == "pre":
            self.block = []
        elif tag == "br" and self.block is not None:
            self.block.append("\n")
        elif tag == "img":
            self.content.images.append((self.url(said.get("src", "")), _one_line(said.get("alt", ""))))
        if tag not in _VOID:
            about = (self.url(said["href"]), said.get("title", "")) if tag == "a" and said.get("href") else ()
            self.open.append((tag, len(self.text), about))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID or tag not in (name for name, _, _ in self.open):
            return
        while self.open:
            name, start, about = self.open.pop()
            self.close_one(name, start, about)
            if name == tag:
                return

    def close_one(self, tag: str, start: int, about: tuple[str, ...]) -> None:
        text = "".join(self.text[start:])
        if tag in _BLOCKS:
            self.text.append(_BORDER)
        if tag in _STRUCTURE:
            if re.fullmatch("h[1-6]", tag) and not text.strip():  # a heading without text has no Markdown form
                self.content.structure.pop()
            else:
                self.content.structure.append("/" + ("td" if tag == "th" else tag))
        if tag == "pre" and self.block is not None:
            code = "".join(self.block).translate(_UNREADABLE)
            self.content.blocks.append(re.sub(r"\A(?:[ \t]*\n)+|(?:\n[ \t]*)+\Z", "", code))
            self.block = None
        elif tag in _CODE and self.block is None:
            self.read_code(text, start)
        elif tag in _STRUCK and self.block is None:
            if not any(name in _STRUCK for name, _, _ in self.open):
                self.content.struck += text.split()
        elif tag == "a" and about and self.block is None:
            self.content.links.append((about[0], about[1], _one_line(text)))
        elif tag in _MARKED and self.block is None and _one_line(text):
            self.content.marked.append((_MARKED[tag], _one_line(text)))

    def read_code(self, text: str, start: int) -> None:
        """Pieces of code without a character between them are one, because Markdown has no code with a link inside."""
        if not text or any(name in _CODE for name, _, _ in self.open):
            return
        code = text.replace("\n", " ").translate(_UNREADABLE)
        self.text[start:] = [code]
        if self.code_end == start:
            self.content.inline[-1] += code
        else:
            self.content.inline.append(code)
        self.code_end = len(self.text)

    def handle_data(self, data: str) -> None:
        (self.text if self.block is None else self.block).append(data)

    def url(self, url: str) -> str:
        return quote(urljoin(self.base_url, url.strip()), safe="%/:?#@!$&()*+,;=~'")

    def finished(self) -> Content:
        while self.open:
            self.close_one(*self.open.pop())
        self.content.prose = _SPACES.sub(" ", _AT_BORDER.sub(" ", "".join(self.text))).split(" ")
        self.content.prose = [word for word in self.content.prose if word]
        self.content.marked.sort()  # `***both***` closes in the other order
        return self.content


def _one_line(text: str) -> str:
    return _SPACES.sub(" ", text.replace(_BORDER, " ")).strip(" ")
