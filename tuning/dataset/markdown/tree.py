"""Parse the HTML of posts and read the parsed elements."""

import re
from urllib.parse import quote, urljoin

from lxml import etree

from tuning.values import read_number

Node = etree._Element

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCKS = (
    HEADINGS
    | {"table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption"}
    | {"p", "ul", "ol", "li", "blockquote", "pre", "hr", "div", "section", "dl", "dt", "dd"}
)
IGNORED = frozenset({"", "script", "style", "template", "title", "noscript", "iframe", "object", "embed", "colgroup"})
_IN_CODE = frozenset({"a", "em", "i", "strong", "b", "del"})
_PLAIN_URL = re.compile(r"[\w%/:?#@!$&()*+,;=~'.-]*", re.ASCII)
_SAFE_IN_URL = "%/:?#@!$&()*+,;=~'"


def parse(html: str) -> Node:
    """Parse the HTML of a post's body and return the `<body>` element.

    libxml2 cuts off elements that are nested too deeply. The comparison with the rendered Markdown detects the loss.
    """
    parser = etree.HTMLParser(remove_comments=True, remove_pis=True, encoding="utf-8")
    document = etree.fromstring(b"<html><body>" + html.encode() + b"</body></html>", parser)
    body = document.find("body") if document is not None else None
    return etree.Element("body") if body is None else body


def tag_of(node: Node) -> str:
    """Return the element's tag name, or '' for a comment or a processing instruction."""
    return node.tag if isinstance(node.tag, str) else ""


def first_number(node: Node) -> int:
    """Return the number of the first item of a list: 1 if `start` is not a whole number of at least 0."""
    number = read_number(node.get("start") or "1", int)
    return 1 if number is None or number < 0 else int(number)


def children(node: Node) -> list[str | Node]:
    """Return the texts and elements directly inside the element, in order."""
    nodes: list[str | Node] = [node.text] if node.text else []
    for child in node:
        nodes.append(child)
        if child.tail:
            nodes.append(child.tail)
    return nodes


def has_block(node: Node) -> bool:
    """Return whether the element is a block or contains one."""
    return tag_of(node) in BLOCKS or any(tag_of(inner) in BLOCKS for inner in node.iterdescendants())


def code_text(node: Node) -> str:
    """Return the text of `<pre>` or `<code>`, with a line feed for each `<br>`."""
    if not len(node):
        return node.text or ""
    for line_break in node.iter("br"):
        line_break.text = "\n"
    return "".join(node.itertext())


def code_pieces(node: Node) -> list[str | Node]:
    """Return what is the same as a `<code>` with elements inside: the elements, with `<code>` inside them.

    A line break divides the code. Elements without a Markdown form, such as `<span>`, are removed.
    """
    pieces: list[str | Node] = []

    def add(text: str | None) -> None:
        if not text:
            return
        last = pieces[-1] if pieces else ""
        if isinstance(last, str) or last.tag != "code":
            last = etree.Element("code")
            pieces.append(last)
        last.text = (last.text or "") + text

    add(node.text)
    for child in node:
        tag, tail = tag_of(child), child.tail
        if tag == "br":
            pieces.append(etree.Element("br"))
            tail = (tail or "").removeprefix("\n")
        elif tag == "img":
            pieces.append(etree.Element("img", dict(child.attrib)))
        elif tag in _IN_CODE:
            outer = etree.Element(tag, dict(child.attrib))
            for piece in code_pieces(child):
                if not isinstance(piece, str):
                    outer.append(piece)
            pieces.append(outer)
        elif tag not in IGNORED:
            for piece in code_pieces(child):
                if isinstance(piece, str) or piece.tag != "code":
                    pieces.append(piece)
                else:
                    add(piece.text)
        add(tail)
    return pieces


def is_list_without_items(node: Node) -> bool:
    """Return whether this is a list in which no element is an item, as authors write it who mistake it for a box."""
    return tag_of(node) in ("ul", "ol") and not any(tag_of(child) == "li" for child in node)


def blocks_from_code(root: Node) -> None:
    """Make a code block of each `<code>` that has line breaks and is alone in its paragraph or list item."""
    for code in list(root.iter("code")):
        parent = code.getparent()
        if parent is None or tag_of(parent) not in BLOCKS or code.find(".//br") is None:
            continue
        if len(parent) == 1 and not (parent.text or "").strip() and not (code.tail or "").strip():
            for line_break in code.iter("br"):
                line_break.tail = (line_break.tail or "").removeprefix("\n")
            code.tag = "pre"


def joined(base_url: str, url: str | None) -> str:
    """Make a URL absolute. A text that is not a valid URL is returned unchanged."""
    url = (url or "").strip()
    if url.startswith(("https://", "http://")):
        return url
    try:
        return urljoin(base_url, url)
    except ValueError:
        return url


def absolute(base_url: str, url: str | None) -> str:
    """Make a URL absolute and percent-encode the characters that a URL cannot contain, as renderers do."""
    url = joined(base_url, url)
    return url if _PLAIN_URL.fullmatch(url) else quote(url, safe=_SAFE_IN_URL)
