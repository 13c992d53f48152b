"""Check that Markdown, rendered by a CommonMark library, has the same content as its source HTML.

`looks_same` compares two HTML texts as lists of words and tags. It takes about a fifth of the time of a conversion. If
it returns True, the content is the same. It can return False for equal content, for example when attributes are in
another order or code contains markup. For those cases, `says_same` compares two parsed documents.
"""

import re

import pyromark

from tuning.dataset.markdown.tree import (
    BLOCKS,
    HEADINGS,
    IGNORED,
    Node,
    absolute,
    children,
    code_pieces,
    code_text,
    first_number,
    has_block,
    is_list_without_items,
    tag_of,
)

_OPTIONS = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH


def render(markdown: str) -> str:
    """Render Markdown (CommonMark, tables and strikethrough) as HTML."""
    return pyromark.html(markdown, options=_OPTIONS)


# The quick comparison -------------------------------------------------------------------------------------------------

_CODE = re.compile(rb"<code[^<>]*>([^<]*)</code>")
_BLOCK_TAG = re.compile(rb"(</?(?:[uo]l|li|blockquote|h[1-6r]|t(?:able|[rhd]|head|body)|d[ltd])\b[^<>]*>)")
_ITEM_OF_PARAGRAPHS = re.compile(rb"<li>\s*<p>")
# Markup that html-to-markdown and lxml ignore: comments, `<span>`, and a `<div>` that only wraps blocks.
_IGNORED_TAG = r"</?span\b[^<>]*>|</?div\b[^<>]*>\s*(?=</?(?:div|p|pre|table|[uo]l|h\d|blockquote)\b|$)"
_IGNORED_MARKUP = re.compile(rf"<!--.*?-->|{_IGNORED_TAG}", re.DOTALL)
_IGNORED_TAGS = re.compile(_IGNORED_TAG)


def looks_same(html: str, rendered: str) -> bool:
    """Return whether two HTML texts are equal except for insignificant white space and equivalent spellings of tags.

    The result can be False for equal content, but is never True for different content.
    """
    # Most bodies differ from their rendering only in the empty lines between blocks. Code contains no raw `>`, so
    # it stays unchanged.
    html, rendered = html.strip().replace(">\n\n<", ">\n<"), rendered.strip()
    if "/>" in html:
        html = html.replace(" />", ">").replace("/>", ">")
    if "/>" in rendered:
        rendered = rendered.replace(" />", ">").replace("/>", ">")
    if html == rendered:
        return True
    if "&quot;" in html or "&#39;" in rendered:
        html = html.replace("&quot;", '"')
        rendered = rendered.replace("&quot;", '"').replace("&#39;", "'")
    # Compare bytes: `bytes.split` splits at ASCII white space only, so a non-breaking space counts as text.
    pieces, rendered_pieces = _CODE.split(html.encode()), _CODE.split(rendered.encode())
    if len(pieces) != len(rendered_pieces):
        return False
    if pieces[1::2] != rendered_pieces[1::2] and _codes(pieces) != _codes(rendered_pieces):
        return False
    differing = [pair for pair in zip(pieces[::2], rendered_pieces[::2], strict=True) if pair[0] != pair[1]]
    # The null bytes between the pieces show whether there is white space next to the code.
    prose = b"\0%b\0" % b"\0".join(pair[0] for pair in differing)
    rendered_prose = b"\0%b\0" % b"\0".join(pair[1] for pair in differing)
    if b"<code" in prose:  # code with markup inside: only `says_same` can compare it
        return False
    # Most of the remaining bodies differ only in white space between words or before the end of a paragraph.
    if prose.replace(b"</p>", b" ").split() == rendered_prose.replace(b"</p>", b" ").split():
        return True
    return _words(prose) == _words(rendered_prose)


def plainer(html: str) -> str:
    """Remove markup that has no effect in Markdown.

    The pattern matches only tags and comments. Text and code cannot match, because they contain no raw `<`.
    """
    # After the last end of a comment, each start of one would be searched for an end in vain.
    head, end, tail = html.rpartition("-->")
    return _IGNORED_MARKUP.sub("", head + end) + _IGNORED_TAGS.sub("", tail)


def _codes(pieces: list[bytes]) -> list[bytes]:
    """Return the pieces of code: blocks without empty lines at their edges, inline code with spaces for line breaks."""
    return [
        code.strip(b"\n") if before.endswith(b"<pre>") else code.replace(b"\n", b" ")
        for before, code in zip(pieces[::2], pieces[1::2], strict=False)
    ]


def _words(prose: bytes) -> list[bytes]:
    """Return the words and tags of the text between the pieces of code."""
    prose = prose.replace(b"<br>", b" <br> ")
    if _BLOCK_TAG.search(prose):
        prose = _ITEM_OF_PARAGRAPHS.sub(b"<li>", prose)  # tight and loose lists count as equal
        prose = b" ".join(_BLOCK_TAG.split(prose))
    prose = prose.replace(b"</p>", b" ").replace(b"<p>", b" <p> ")
    prose = prose.replace(b"<pre>", b" <pre>").replace(b"</pre>", b"</pre> ")
    if b"strong><" in prose or b"</strong>" in prose:  # one order for both tags: rendering `***both***` swaps them
        prose = prose.replace(b"<strong><em>", b"<em><strong>").replace(b"</em></strong>", b"</strong></em>")
    return prose.split()


# The exact comparison -------------------------------------------------------------------------------------------------

_SPACES = re.compile(r"[ \t\r\n\f]+")
_EDGES = re.compile(r"\A(?:[ \t]*\n)+|(?:\n[ \t]*)+\Z")
_SAME = {"b": "strong", "i": "em", "s": "del", "strike": "del", "th": "td"}
_NOTHING_IF_EMPTY = HEADINGS | {"blockquote"}  # an empty heading or quotation has no Markdown form, and no content
_AROUND_BLOCKS = frozenset({"a", "em", "strong", "del"})
_TRANSPARENT = frozenset({"p", "div", "section", "thead", "tbody", "tfoot", "body", "html", "span", "font"})
# Markers of inline elements within a line of text. They are control characters, which no text contains here: bodies
# with such characters are dropped before the comparison.
_OPEN, _CLOSE, _END, _CODE_SPACE = "\x01", "\x02", "\x03", "\x04"
_SPACE_INSIDE_START = re.compile(r"(\x01[^\x01\x03]*\x03) +")
_SPACE_INSIDE_END = re.compile(r" +(\x02[^\x02\x03]*\x03)")
_EMPTY = re.compile(r"\x01([a-z]+)[^\x01\x03]*\x03( *)\x02\1\x03")
_BREAK = "\x05"
_BETWEEN_CODE = "\x02code\x03\x01code\x03"  # two pieces of inline code without a character between them equal one


def says_same(root: Node, other: Node, base_url: str) -> bool:
    """Return whether two parsed bodies have the same code, text, links, images, lists, quotations, headings and tables.

    Code must be equal byte for byte, except for empty lines at the edges of a block. Outside code, a run of ASCII white
    space equals one space. A non-breaking space does not equal a space.
    """
    return outline(root, base_url) == outline(other, base_url)


def outline(root: Node, base_url: str) -> list[str]:
    """Return the document as a flat list: one text per paragraph, and one entry per start and end of other blocks."""
    lines: list[str] = []
    line: list[str] = []
    around: list[tuple[str, str]] = []  # start and end of the inline elements around blocks: each line is within them

    def end_line() -> None:
        if text := _tidy("".join(line)):
            if around:
                text = _tidy("".join([start for start, _ in around] + [text] + [end for _, end in reversed(around)]))
            lines.append(text)
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
                is_struck = any(start == f"{_OPEN}del{_END}" for start, _ in around)
                lines.append(("<struck pre>" if is_struck else "<pre>") + _EDGES.sub("", code_text(node)))
                visit(list(node.iter("img")))  # written after the block
                end_line()
            elif tag in BLOCKS:
                end_line()
                is_listed = tag not in _TRANSPARENT and not is_list_without_items(node)
                start = len(lines)
                if is_listed:
                    lines.append(f"<{tag} {first_number(node)}>" if tag == "ol" else f"<{tag}>")
                visit(children(node))
                end_line()
                if is_listed and tag in _NOTHING_IF_EMPTY and len(lines) == start + 1:
                    lines.pop()
                elif is_listed:
                    lines.append(f"</{tag}>")
            elif tag == "br":
                is_in_heading = any(tag_of(outer) in HEADINGS for outer in node.iterancestors())
                line.append(" " if is_in_heading else _BREAK)
            elif tag == "img":
                alt = _SPACES.sub(" ", node.get("alt") or "").strip()
                url, title = absolute(base_url, node.get("src")), node.get("title") or ""
                line.append(f"{_OPEN}img {alt} {url} {title}{_END}\0{_CLOSE}img{_END}")
            elif has_block(node):
                end_line()
                is_around = tag in _AROUND_BLOCKS and not (tag == "a" and not node.get("href"))
                if is_around:
                    around.append(_marks(node, tag, base_url))
                visit(children(node))
                end_line()
                if is_around:
                    around.pop()
            elif tag == "code" and len(node):
                visit(code_pieces(node))
            elif tag == "code":
                code = re.sub(r"[\r\n]", " ", code_text(node)).replace(" ", _CODE_SPACE)
                line.append(f"{_OPEN}code{_END}{code}{_CLOSE}code{_END}")
            elif tag in _TRANSPARENT or (tag == "a" and not node.get("href")):
                visit(children(node))
            else:
                start_mark, end_mark = _marks(node, tag, base_url)
                line.append(start_mark)
                visit(children(node))
                line.append(end_mark)

    visit(children(root))
    end_line()
    return lines


def _marks(node: Node, tag: str, base_url: str) -> tuple[str, str]:
    """Return what stands for the start and the end of an inline element in a line."""
    link = f" {absolute(base_url, node.get('href'))} {node.get('title') or ''}" if tag == "a" else ""
    return f"{_OPEN}{tag}{_SPACES.sub(_CODE_SPACE, link)}{_END}", f"{_CLOSE}{tag}{_END}"


def _tidy(text: str) -> str:
    """Normalize a line: move white space at the edges of an inline element to the outside of the element."""
    text = _SPACES.sub(" ", text).replace(_BETWEEN_CODE, "")
    if _OPEN in text:
        before = ""
        while before != text:
            before = text
            text = _EMPTY.sub(r"\2", _SPACE_INSIDE_END.sub(r"\1 ", _SPACE_INSIDE_START.sub(r" \1", text)))
            text = text.replace("  ", " ")
        # Put both tags in one order, because rendering `***both***` swaps them.
        text = text.replace("\x01strong\x03\x01em\x03", "\x01em\x03\x01strong\x03")
        text = text.replace("\x02em\x03\x02strong\x03", "\x02strong\x03\x02em\x03")
    if _BREAK in text:
        text = re.sub("[ \x05]*\x05[ \x05]*", _BREAK, text).strip(" \x05")
    return text.strip(" ")
