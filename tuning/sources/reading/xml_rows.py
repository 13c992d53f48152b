"""Parse ``<row … />`` elements into their attributes. Count dropped rows and mended characters."""

from collections import Counter

from lxml import etree

from tuning.sources.reading.mend import mend

# Numbers of rows. The key is (table or post type, "read" or the reason why rows were dropped).
Counts = Counter[tuple[str, str]]
# Keys of the numbers of mended rows, replaced characters and joined surrogate pairs.
MENDED_ROWS, REPLACED, JOINED = ("mended", "rows"), ("mended", "replaced"), ("mended", "joined")
# Bytes. A post has at most 30,000 characters of Markdown, which as escaped HTML have well below 1 MB.
LONGEST_ROW = 2 << 20

Row = dict[str, str]


def parse_rows(block: bytes, table: str, counts: Counts) -> list[Row]:
    """Return the attributes of each row. A row that is not well-formed is counted and dropped; the others are kept.

    Characters that XML forbids are replaced and counted. Rows are only searched for them if they cannot be parsed. A
    row that is too long for a post is dropped too, because parsing takes many times its length in memory.
    """
    if len(block) <= LONGEST_ROW and (found := _parsed(block)) is not None:
        return _rows_of(found, table, counts)
    pieces = [b"<row" + piece for piece in block.split(b"<row")[1:]]
    return [row for piece in pieces for row in _parse_one(piece, table, counts)]


def _parse_one(row: bytes, table: str, counts: Counts) -> list[Row]:
    """Parse one row. If it cannot be parsed, replace forbidden characters and try again."""
    if len(row) > LONGEST_ROW:
        counts[table, f"longer than {LONGEST_ROW >> 20} MB"] += 1
        return []
    if (found := _parsed(row)) is not None:
        return _rows_of(found, table, counts)
    mended = mend(row)
    if mended.row == row or (found := _parsed(mended.row)) is None:
        counts[table, "not well-formed XML"] += 1
        return []
    counts[MENDED_ROWS] += 1
    counts[REPLACED] += mended.replaced
    counts[JOINED] += mended.joined
    return _rows_of(found, table, counts)


def _rows_of(found: "_Rows", table: str, counts: Counts) -> list[Row]:
    if found.others:
        counts[table, "not a row"] += found.others
    return found.rows


def _parsed(block: bytes) -> "_Rows | None":
    if b">" not in block:  # the parser would take as long for it as for a whole row
        return None
    found = _Rows()
    # The caller already rejected document types, and these settings load nothing from outside. With
    # resolve_entities=False, a parser with a target returns &amp; as &#38;.
    # The stubs require every method of a target, although lxml calls only those that exist: mypy must ignore the call.
    parser = etree.XMLParser(target=found, resolve_entities="internal", no_network=True, encoding="utf-8")  # type: ignore[call-overload]
    try:
        etree.fromstring(b"<rows>" + block + b"</rows>", parser)
    except etree.XMLSyntaxError:
        return None
    return found


class _Rows:
    """Collect rows as a target of lxml's parser. This takes half the time of building a tree."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.others = -1  # do not count the root element around the rows

    def start(self, tag: str, attrib: Row) -> None:
        if tag == "row":
            self.rows.append(attrib)
        else:
            self.others += 1

    def close(self) -> None:
        """Do nothing. lxml requires this method."""
