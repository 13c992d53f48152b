"""Parse the HTML of posts and read the parsed elements."""

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
