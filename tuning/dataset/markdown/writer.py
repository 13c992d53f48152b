"""Write HTML as Markdown for the bodies that html-to-markdown converts wrongly.

This writer is slower than html-to-markdown and is used for a few bodies in a hundred. Blocks that have no Markdown form
(definition lists, tables with merged cells) remain as HTML, which CommonMark allows.
"""

import copy
import re
from itertools import pairwise

from lxml import etree

from tuning.dataset.markdown.inline import EMPHASIS, MAXIMUM_DEPTH, InlineWriter, TooDeep
from tuning.dataset.markdown.languages import fence_language
from tuning.dataset.markdown.tree import (
    BLOCKS,
    HEADINGS,
    Node,
    children,
    code_text,
    first_number,
    has_block,
    is_list_without_items,
    joined,
    tag_of,
)

_LINE_START = re.compile(
    r"(\d{1,9})(?=[.)](?:[ \t]|$))"  # the number of a list item: the "." or ")" after it is escaped
    r"|(?=#{1,6}(?:[ \t]|$)|[-+*](?:[ \t]|$)|>|=+[ \t]*$|-+[ \t]*$|~~~|[|:-][|: -]*$)"
)


def write_markdown(root: Node, base_url: str, *, tags: bool = False) -> str:
    """Write the children of `root` as Markdown. Raises TooDeep if elements are nested too deeply.

    With `tags`, all emphasis becomes `<em>` or `<strong>`. Use it for texts in which CommonMark would misread the
    delimiters `*` and `_`.
    """
    return "\n\n".join(_Writer(base_url, tags).blocks(children(root), 0))


class _Writer:
    def __init__(self, base_url: str, tags: bool) -> None:
        self.base_url = base_url
        self.inline = InlineWriter(base_url, tags)
        self.around: list[Node] = []  # the inline elements around blocks: each paragraph is written within them

    def blocks(self, nodes: list[str | Node], depth: int) -> list[str]:
        """Write the blocks of a container, each as one string of one or more lines."""
        if depth > MAXIMUM_DEPTH:
            raise TooDeep
        result: list[str] = []
        run: list[str | Node] = []  # text and inline elements between two blocks, which form a paragraph
        previous_list, marker = "", 0

        def end_paragraph() -> None:
            nonlocal previous_list
            if text := self.paragraph(run, depth):
                result.append(text)
                previous_list = ""
            run.clear()

        for node in nodes:
            if isinstance(node, str) or not has_block(node):
                run.append(node)
                continue
            end_paragraph()
            tag = tag_of(node)
            if is_list_without_items(node):
                tag = "div"
            if tag in ("ul", "ol"):
                # Two adjacent lists would be read as one, so the second list uses another marker.
                marker = 1 - marker if previous_list == tag else 0
                written = [self.items(node, marker, depth)]
            elif tag in BLOCKS:
                written = self.block(node, tag, depth)
            else:
                written = self.blocks_within(node, tag, depth)
            if written:
                result += written
                previous_list = tag if tag in ("ul", "ol") else ""
        end_paragraph()
        return [block for block in result if block]

    def blocks_within(self, node: Node, tag: str, depth: int) -> list[str]:
        """Write the blocks within an inline element, each paragraph with the element around its content."""
        is_around = tag in EMPHASIS or (tag == "a" and bool(node.get("href")))
        if is_around:
            self.around.append(node)
        written = self.blocks(children(node), depth + 1)
        if is_around:
            self.around.pop()
        return written

    def block(self, node: Node, tag: str, depth: int) -> list[str]:
        """Write one block element other than a list."""
        match tag:
            case "pre":
                code = code_text(node)
                blocks = [fenced(code, fence_language(node, code))]
                if any(tag_of(outer) == "del" for outer in self.around):
                    blocks = ["<del>", *blocks, "</del>"]
                return blocks + [self.inline.image(image) for image in node.iter("img")]
            case "hr":
                return ["---"]
            case "blockquote":
                inside = "\n\n".join(self.blocks(children(node), depth + 1))
                return [_indented(inside, "> ", "> ")] if inside else []
            case _ if tag in HEADINGS:
                text = self.line(children(node), depth, " ")
                text = re.sub(r"(#+)$", r"\\\1", text)  # else renderers remove a final `#`
                return [f"{'#' * int(tag[1])} {text}"] if text else []
            case "table":
                return [self.table(node, depth)]
            case "dl":
                return [self.raw(node)]
            case _:
                return self.blocks(children(node), depth + 1)

    def items(self, node: Node, marker: int, depth: int) -> str:
        """Write a list. `marker` is 0 (`-`, `1.`) or 1 (`*`, `1)`), so that two adjacent lists can be told apart."""
        entries = [child for child in node if tag_of(child) == "li"]
        loose = any(tag_of(child) == "p" for entry in entries for child in entry)
        number = first_number(node)
        lines = []
        for position, entry in enumerate(entries):
            first = "-*"[marker] if tag_of(node) == "ul" else f"{number + position}{'.)'[marker]}"
            blocks = self.blocks(children(entry), depth + 1)
            text = blocks[0] if blocks else ""
            for before, block in pairwise(blocks):
                # Without an empty line, only a bullet list or a list that starts at 1 can follow a line of text.
                close = not loose and re.match(r"[-*] |1[.)] ", block) and not re.search(r"^[`~>|<#]", before, re.M)
                text += ("\n" if close else "\n\n") + block
            lines.append(_indented(text, first + " ", " " * (len(first) + 1)))
        return ("\n\n" if loose else "\n").join(lines)

    def table(self, node: Node, depth: int) -> str:
        """Write a table as Markdown, or as HTML if it has merged cells, blocks in cells or rows of unequal length."""
        rows = [row for row in node.iter("tr") if row.getparent() is not None]
        cells = [[cell for cell in row if tag_of(cell) in ("th", "td")] for row in rows]
        widths = {len(row) for row in cells}
        flat = [cell for row in cells for cell in row]
        plain = not any(has_block(inner) for cell in flat for inner in cell) and len(list(node.iter("table"))) == 1
        if len(widths) != 1 or 0 in widths or not plain or any(c.get("colspan") or c.get("rowspan") for c in flat):
            return self.raw(node)
        texts = [[self.line(children(cell), depth, "<br>").replace("|", "\\|") for cell in row] for row in cells]
        rule = [_alignment(cell) for cell in cells[0]]
        return "\n".join("| " + " | ".join(row) + " |" for row in [texts[0], rule, *texts[1:]])

    def raw(self, node: Node) -> str:
        """Write the element as HTML without empty lines, because an empty line would end an HTML block."""
        node = copy.deepcopy(node)
        node.tail = None
        for element in node.iter("a", "img"):
            for name in ("href", "src"):
                if element.get(name):
                    element.set(name, joined(self.base_url, element.get(name)))
        return re.sub(r"\s*\n\s*", "\n", etree.tostring(node, encoding="unicode", method="html"))

    def paragraph(self, nodes: list[str | Node], depth: int) -> str:
        """Write a paragraph, with the start of each line escaped where it would be read as a block."""
        text = self.inline.write(self.within(nodes), depth)
        lines = [_shield(_kept_spaces(line.strip(" "))) for line in text.split("\n")]
        return "  \n".join(line for line in lines if line)

    def line(self, nodes: list[str | Node], depth: int, line_break: str) -> str:
        """Write inline content on one line, for a heading or a table cell."""
        return _kept_spaces(self.inline.write(self.within(nodes), depth).replace("  \n", line_break).strip(" "))

    def within(self, nodes: list[str | Node]) -> list[str | Node]:
        """Return the nodes within copies of the inline elements around the block."""
        for outer in reversed(self.around):
            if not any(not isinstance(node, str) or node.strip() for node in nodes):
                return nodes
            copied = etree.Element(outer.tag, dict(outer.attrib))
            for node in nodes:
                if not isinstance(node, str):
                    inner = copy.copy(node)
                    inner.tail = None
                    copied.append(inner)
                elif len(copied):
                    copied[-1].tail = (copied[-1].tail or "") + node
                else:
                    copied.text = (copied.text or "") + node
            nodes = [copied]
        return nodes


def _kept_spaces(line: str) -> str:
    """Write non-breaking and other Unicode spaces at the edges of a line as entities.

    Renderers remove such characters from the edges of a line, but not the entities.
    """
    text = line.strip()
    if len(text) == len(line):
        return line
    before, after = (line, "") if not text else (line[: line.index(text)], line[line.index(text) + len(text) :])
    return "".join(f"&#{ord(space)};" for space in before) + text + "".join(f"&#{ord(space)};" for space in after)


def fenced(code: str, language: str) -> str:
    """Write a fenced code block. The fence is longer than any run of backticks in the code."""
    code = code.strip("\n")
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}" if code else f"{fence}{language}\n{fence}"


def _shield(line: str) -> str:
    """Escape the start of a line of prose that would be read as a list, a heading, a quotation or a rule."""
    match = _LINE_START.match(line)
    return line[: match.end()] + "\\" + line[match.end() :] if match else line


def _indented(text: str, first: str, other: str) -> str:
    lines = text.split("\n")
    prefixed = [(first if position == 0 else other) + line for position, line in enumerate(lines)]
    return "\n".join(line if text else line.rstrip(" ") for line, text in zip(prefixed, lines, strict=True))


def _alignment(cell: Node) -> str:
    style = (cell.get("style") or "").replace(" ", "")
    return {"text-align:right": "---:", "text-align:center": ":---:"}.get(style.rstrip(";"), "---")
