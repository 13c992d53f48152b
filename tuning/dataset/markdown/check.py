"""Whether Markdown, rendered by a CommonMark library, says what the HTML it was made from says.

`looks_same` compares two HTML texts as lists of words and tags and takes about a fifth of the time of a conversion. It
never says yes wrongly; where two texts say the same in other words (attributes in another order, code with markup
inside) it may say no, and `says_same` decides by comparing two parsed documents.
"""

import re

import pyromark

from tuning.dataset.markdown.tree import BLOCKS, IGNORED, Node, absolute, children, code_text, tag_of

_TABLES = pyromark.Options.ENABLE_TABLES


def render(markdown: str) -> str:
    """CommonMark and tables to HTML."""
    return pyromark.html(markdown, options=_TABLES)


# The quick comparison -------------------------------------------------------------------------------------------------

_CODE = re.compile(rb"<code[^>]*>([^<]*)</code>")
_LISTS_AND_SUCH = re.compile(rb"(</?(?:[uo]l|li|blockquote|h[1-6r]|t(?:able|[rhd]|head|body)|d[ltd])\b[^>]*>)")
_ITEM_OF_PARAGRAPHS = re.compile(rb"<li>\s*<p>")
# What html-to-markdown and lxml pass over: comments, `<span>`, and a `<div>` that only wraps blocks.
_PASSED_OVER = re.compile(
    r"<!--.*?-->|</?span\b[^>]*>|</?div\b[^>]*>\s*(?=</?(?:div|p|pre|table|[uo]l|h\d|blockquote)\b|$)", re.DOTALL
)


def looks_same(html: str, rendered: str) -> bool:
    """Whether two HTML texts are the same but for white space that means nothing and a few ways of writing a tag."""
    # The blank lines between blocks are all that tells most bodies from their rendering. No code holds `>`.
    html = html.strip().replace(">\n\n<", ">\n<").replace(" />", ">").replace("/>", ">")
    rendered = rendered.strip().replace(" />", ">").replace("/>", ">")
    if html == rendered:
        return True
    if "&quot;" in html or "&#39;" in rendered:
        html = html.replace("&quot;", '"')
        rendered = rendered.replace("&quot;", '"').replace("&#39;", "'")
    # As bytes, because their `split` knows ASCII white space only: a non-breaking space is text.
    pieces, rendered_pieces = _CODE.split(html.encode()), _CODE.split(rendered.encode())
    if len(pieces) != len(rendered_pieces):
        return False
    if pieces[1::2] != rendered_pieces[1::2] and _codes(pieces) != _codes(rendered_pieces):
        return False
    differing = [pair for pair in zip(pieces[::2], rendered_pieces[::2], strict=True) if pair[0] != pair[1]]
    # The marks between pieces and at the ends keep what touches the code.
    prose = b"\0%b\0" % b"\0".join(pair[0] for pair in differing)
    rendered_prose = b"\0%b\0" % b"\0".join(pair[1] for pair in differing)
    if b"<code" in prose:  # with markup inside: not for words
        return False
    # White space before the end of a paragraph or between two words is all that tells most others.
    if prose.replace(b"</p>", b" ").split() == rendered_prose.replace(b"</p>", b" ").split():
        return True
    return _words(prose) == _words(rendered_prose)


def plainer(html: str) -> str:
    """Without what a Markdown text does not show. Each pattern starts at a tag, which text and code cannot hold."""
    return _PASSED_OVER.sub("", html)


def _codes(pieces: list[bytes]) -> list[bytes]:
    """The code among the pieces; a block without the blank lines at its edges."""
    return [
        code.strip(b"\n") if before.endswith(b"<pre>") else code.replace(b"\n", b" ")
        for before, code in zip(pieces[::2], pieces[1::2], strict=False)
    ]


def _words(prose: bytes) -> list[bytes]:
    """The words and tags of what stands between pieces of code."""
    prose = prose.replace(b"<br>", b" <br> ")
    if _LISTS_AND_SUCH.search(prose):
        prose = _ITEM_OF_PARAGRAPHS.sub(b"<li>", prose)  # whether a list is tight or loose is no difference
        prose = b" ".join(_LISTS_AND_SUCH.split(prose))
    prose = prose.replace(b"</p>", b" ").replace(b"<p>", b" <p> ")
    prose = prose.replace(b"<pre>", b" <pre>").replace(b"</pre>", b"</pre> ")
    if b"strong><" in prose or b"</strong>" in prose:  # `***both***` comes back with the two the other way round
        prose = prose.replace(b"<strong><em>", b"<em><strong>").replace(b"</em></strong>", b"</strong></em>")
    return prose.split()


# The exact comparison -------------------------------------------------------------------------------------------------

_SPACES = re.compile(r"[ \t\r\n\f]+")
_EDGES = re.compile(r"\A(?:[ \t]*\n)+|(?:\n[ \t]*)+\Z")
_SAME = {"b": "strong", "i": "em", "th": "td"}
_TRANSPARENT = frozenset({"p", "div", "section", "thead", "tbody", "tfoot", "body", "html", "span", "font"})
# Marks of inline elements within a line of text: control characters, which no body that comes here holds.
_OPEN, _CLOSE, _END, _CODE_SPACE = "\x01", "\x02", "\x03", "\x04"
_SPACE_INSIDE_START = re.compile(r"(\x01[^\x03]*\x03) +")
_SPACE_INSIDE_END = re.compile(r" +(\x02[^\x03]*\x03)")
_EMPTY = re.compile(r"\x01([a-z]+)[^\x03]*\x03( *)\x02\1\x03")
_BREAK = "\x05"


def says_same(root: Node, other: Node, base_url: str) -> bool:
    """Whether two parsed bodies hold the same code, text, links, images, lists, quotations, headings and tables.

    Code counts to the byte, but for blank lines at a block's edges; outside code a run of ASCII white space counts as
    one blank; a non-breaking space counts as what it is.
    """
    return outline(root, base_url) == outline(other, base_url)


def outline(root: Node, base_url: str) -> list[str]:
    """The document as a flat list: a text per paragraph, a mark per start and end of every other block."""
    found: list[str] = []
    line: list[str] = []

    def end_line() -> None:
        if text := _tidy("".join(line)):
            found.append(text)
        line.clear()

    def visit(nodes: list[str | Node]) -> None:
        for node in nodes:
            if isinstance(node, str):
                line.append(node)
                continue
            tag = tag_of(node)
            if tag in IGNORED:
                continue
            tag = _SAME.get(tag, tag)
            if tag == "pre":
                end_line()
                found.append("<pre>" + _EDGES.sub("", code_text(node)))
                # A fence holds neither links nor images. Emphasis of parts of code is let go.
                found.extend(f"<{tag_of(inner)} in pre>" for inner in node.iter("a", "img"))
            elif tag in BLOCKS:
                end_line()
                shown = tag not in _TRANSPARENT
                if shown:
                    found.append(f"<{tag} {int(node.get('start') or 1)}>" if tag == "ol" else f"<{tag}>")
                visit(children(node))
                end_line()
                if shown:
                    found.append(f"</{tag}>")
            elif tag == "br":
                line.append(_BREAK)
            elif tag == "img":
                alt = _SPACES.sub(" ", node.get("alt") or "").strip()
                url, title = absolute(base_url, node.get("src")), node.get("title") or ""
                line.append(f"{_OPEN}img {alt} {url} {title}{_END}\0{_CLOSE}img{_END}")
            elif tag == "code":
                code = re.sub(r"[\r\n]", " ", code_text(node)).replace(" ", _CODE_SPACE)
                if len(node):
                    line.append(f"{_OPEN}code {code}{_END}")
                    visit(children(node))
                else:
                    line.append(f"{_OPEN}code{_END}{code}")
                line.append(f"{_CLOSE}code{_END}")
            elif tag in _TRANSPARENT or (tag == "a" and not node.get("href")):
                visit(children(node))
            else:
                link = f" {absolute(base_url, node.get('href'))} {node.get('title') or ''}" if tag == "a" else ""
                line.append(f"{_OPEN}{tag}{_SPACES.sub(_CODE_SPACE, link)}{_END}")
                visit(children(node))
                line.append(f"{_CLOSE}{tag}{_END}")

    visit(children(root))
    end_line()
    return found


def _tidy(text: str) -> str:
    """One form for texts that look alike: white space at the edges of an element stands outside it."""
    text = _SPACES.sub(" ", text)
    if _OPEN in text:
        before = ""
        while before != text:
            before = text
            text = _EMPTY.sub(r"\2", _SPACE_INSIDE_END.sub(r"\1 ", _SPACE_INSIDE_START.sub(r" \1", text)))
            text = text.replace("  ", " ")
        # `***both***` comes back with the two emphases the other way round.
        text = text.replace("\x01strong\x03\x01em\x03", "\x01em\x03\x01strong\x03")
        text = text.replace("\x02em\x03\x02strong\x03", "\x02strong\x03\x02em\x03")
    if _BREAK in text:
        text = re.sub(" *\x05 *", _BREAK, text).strip(" \x05")
    return text.strip(" ")
