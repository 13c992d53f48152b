"""HTML to Markdown for the bodies that html-to-markdown does not carry: every construct spelled so that it comes back.

Slower than html-to-markdown and used for a few bodies in a hundred. What Markdown has no form for (definition lists,
tables with merged cells) is written as the HTML that CommonMark allows.
"""

import copy
import re
from itertools import pairwise

from lxml import etree

from tuning.dataset.markdown.inline import MAXIMUM_DEPTH, InlineWriter, TooDeep
from tuning.dataset.markdown.languages import fence_language
from tuning.dataset.markdown.tree import BLOCKS, HEADINGS, Node, children, code_text, has_block, joined, tag_of

_LINE_START = re.compile(
    r"(\d{1,9})(?=[.)](?:[ \t]|$))"  # a list's number: its full stop is escaped
    r"|(?=#{1,6}(?:[ \t]|$)|[-+](?:[ \t]|$)|>|=+[ \t]*$|-+[ \t]*$|~~~|[|:-][|: -]*$)"
)


def write_markdown(root: Node, base_url: str, *, tags: bool = False) -> str:
    """The Markdown of the children of `root`. Raises TooDeep.

    `tags` writes every emphasis as `<em>` or `<strong>`, for texts where stars and underscores beside others mislead.
    """
    return "\n\n".join(_Writer(base_url, tags).blocks(children(root), 0))


class _Writer:
    def __init__(self, base_url: str, tags: bool) -> None:
        self.base_url = base_url
        self.inline = InlineWriter(base_url, tags)

    def blocks(self, nodes: list[str | Node], depth: int) -> list[str]:
        """The blocks of a container, each one string of one or more lines."""
        if depth > MAXIMUM_DEPTH:
            raise TooDeep
        found: list[str] = []
        run: list[str | Node] = []  # text and inline elements that stand between two blocks: a paragraph
        previous_list, marker = "", 0

        def end_paragraph() -> None:
            nonlocal previous_list
            if text := self.paragraph(run, depth):
                found.append(text)
                previous_list = ""
            run.clear()

        for node in nodes:
            if isinstance(node, str) or not has_block(node):
                run.append(node)
                continue
            end_paragraph()
            tag = tag_of(node)
            if tag in ("ul", "ol"):
                # Two lists side by side would become one: the second takes another marker.
                marker = 1 - marker if previous_list == tag else 0
                written = [self.items(node, marker, depth)]
            elif tag in BLOCKS:
                written = self.block(node, tag, depth)
            else:  # an inline element around blocks
                written = self.blocks(children(node), depth + 1)
            if written:
                found += written
                previous_list = tag if tag in ("ul", "ol") else ""
        end_paragraph()
        return [block for block in found if block]

    def block(self, node: Node, tag: str, depth: int) -> list[str]:
        match tag:
            case "pre":
                return [fenced(code_text(node), fence_language(node))]
            case "hr":
                return ["---"]
            case "blockquote":
                inside = "\n\n".join(self.blocks(children(node), depth + 1))
                return [_indented(inside, "> ", "> ")] if inside else []
            case _ if tag in HEADINGS:
                text = re.sub(r"(#+)$", r"\\\1", self.line(children(node), depth))  # a closing run would be dropped
                return [f"{'#' * int(tag[1])} {text}"] if text else []
            case "table":
                return [self.table(node, depth)]
            case "dl":
                return [self.raw(node)]
            case _:
                return self.blocks(children(node), depth + 1)

    def items(self, node: Node, marker: int, depth: int) -> str:
        entries = [child for child in node if tag_of(child) == "li"]
        loose = any(tag_of(child) == "p" for entry in entries for child in entry)
        number = int(node.get("start") or 1) if (node.get("start") or "1").isdigit() else 1
        lines = []
        for position, entry in enumerate(entries):
            first = "-*"[marker] if tag_of(node) == "ul" else f"{number + position}{'.)'[marker]}"
            blocks = self.blocks(children(entry), depth + 1)
            text = blocks[0] if blocks else ""
            for before, block in pairwise(blocks):
                # Only a bullet list or one that starts at 1 may follow a line of text without a blank line.
                close = not loose and re.match(r"[-*] |1[.)] ", block) and not re.search(r"^[`~>|<#]", before, re.M)
                text += ("\n" if close else "\n\n") + block
            lines.append(_indented(text, first + " ", " " * (len(first) + 1)))
        return ("\n\n" if loose else "\n").join(lines)

    def table(self, node: Node, depth: int) -> str:
        rows = [row for row in node.iter("tr") if row.getparent() is not None]
        cells = [[cell for cell in row if tag_of(cell) in ("th", "td")] for row in rows]
        widths = {len(row) for row in cells}
        flat = [cell for row in cells for cell in row]
        plain = not any(has_block(inner) for cell in flat for inner in cell) and len(list(node.iter("table"))) == 1
        if len(widths) != 1 or 0 in widths or not plain or any(c.get("colspan") or c.get("rowspan") for c in flat):
            return self.raw(node)
        texts = [[self.line(children(cell), depth).replace("|", "\\|") for cell in row] for row in cells]
        rule = [_alignment(cell) for cell in cells[0]]
        return "\n".join("| " + " | ".join(row) + " |" for row in [texts[0], rule, *texts[1:]])

    def raw(self, node: Node) -> str:
        """The element as HTML. A blank line would end an HTML block, so there is none."""
        node = copy.deepcopy(node)
        node.tail = None
        for element in node.iter("a", "img"):
            for name in ("href", "src"):
                if element.get(name):
                    element.set(name, joined(self.base_url, element.get(name)))
        return re.sub(r"\s*\n\s*", "\n", etree.tostring(node, encoding="unicode", method="html"))

    def paragraph(self, nodes: list[str | Node], depth: int) -> str:
        lines = [_shield(_kept_spaces(line.strip(" "))) for line in self.inline.write(nodes, depth).split("\n")]
        return "  \n".join(line for line in lines if line)

    def line(self, nodes: list[str | Node], depth: int) -> str:
        """Inline content that has to stay on one line: a heading, a cell."""
        return _kept_spaces(self.inline.write(nodes, depth).replace("  \n", "<br>").strip(" "))


def _kept_spaces(line: str) -> str:
    """Renderers strip a non-breaking space and its like from the edges of a line, but not an entity."""
    text = line.strip()
    if len(text) == len(line):
        return line
    before, after = (line, "") if not text else (line[: line.index(text)], line[line.index(text) + len(text) :])
    return "".join(f"&#{ord(space)};" for space in before) + text + "".join(f"&#{ord(space)};" for space in after)


def fenced(code: str, language: str) -> str:
    """A fenced block whose fence is longer than any run of backticks inside."""
    code = code.strip("\n")
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}" if code else f"{fence}{language}\n{fence}"


def _shield(line: str) -> str:
    """Escapes what would make a list, a heading, a quotation or a rule of a line of prose."""
    match = _LINE_START.match(line)
    return line[: match.end()] + "\\" + line[match.end() :] if match else line


def _indented(text: str, first: str, other: str) -> str:
    lines = text.split("\n")
    prefixed = [(first if position == 0 else other) + line for position, line in enumerate(lines)]
    return "\n".join(line if text else line.rstrip(" ") for line, text in zip(prefixed, lines, strict=True))


def _alignment(cell: Node) -> str:
    style = (cell.get("style") or "").replace(" ", "")
    return {"text-align:right": "---:", "text-align:center": ":---:"}.get(style.rstrip(";"), "---")
