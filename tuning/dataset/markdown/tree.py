"""Parsed HTML as the writer and the check read it."""

import re
from urllib.parse import quote, urljoin

from lxml import etree

Node = etree._Element

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCKS = (
    HEADINGS
    | {"table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption"}
    | {"p", "ul", "ol", "li", "blockquote", "pre", "hr", "div", "section", "dl", "dt", "dd"}
)
IGNORED = frozenset({"", "script", "style", "template", "title", "noscript", "iframe", "object", "embed", "colgroup"})
_PLAIN_URL = re.compile(r"[\w%/:?#@!$&()*+,;=~'.-]*", re.ASCII)
_SAFE_IN_URL = "%/:?#@!$&()*+,;=~'"


def parse(html: str) -> Node:
    """The `<body>` of a body's HTML. Nested deeper than libxml2 reads, it ends early, which the check sees."""
    parser = etree.HTMLParser(remove_comments=True, remove_pis=True, encoding="utf-8")
    document = etree.fromstring(b"<html><body>" + html.encode() + b"</body></html>", parser)
    body = document.find("body") if document is not None else None
    return etree.Element("body") if body is None else body


def tag_of(node: Node) -> str:
    """The element's name; '' for a comment and the like."""
    return node.tag if isinstance(node.tag, str) else ""


def children(node: Node) -> list[str | Node]:
    """Texts and elements inside, in order."""
    found: list[str | Node] = [node.text] if node.text else []
    for child in node:
        found.append(child)
        if child.tail:
            found.append(child.tail)
    return found


def has_block(node: Node) -> bool:
    """Whether it is a block or has one inside."""
    return tag_of(node) in BLOCKS or any(tag_of(inner) in BLOCKS for inner in node.iterdescendants())


def code_text(node: Node) -> str:
    """The text of `<pre>` or `<code>`; `<br>` is a line's end."""
    if not len(node):
        return node.text or ""
    for line_break in node.iter("br"):
        line_break.text = "\n"
    return "".join(node.itertext())


def joined(base_url: str, url: str | None) -> str:
    """The URL made absolute; one that is no URL at all stays as it is."""
    url = (url or "").strip()
    if url.startswith(("https://", "http://")):
        return url
    try:
        return urljoin(base_url, url)
    except ValueError:
        return url


def absolute(base_url: str, url: str | None) -> str:
    """The whole URL, with what a URL may not hold percent-encoded, as renderers write it."""
    url = joined(base_url, url)
    return url if _PLAIN_URL.fullmatch(url) else quote(url, safe=_SAFE_IN_URL)
