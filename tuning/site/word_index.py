"""Index the words of texts, so that a page without a server can search texts that are much larger than the page.

The index has each word once, and after it the numbers of the rows whose text has it, as variable-length differences.
`search.js` reads it.
"""

import base64
import re
import zlib
from dataclasses import dataclass, field

_WORD = re.compile(r"\w{1,40}")  # a longer word, such as an encoded file, is several
LARGEST = 6_000_000  # bytes before compression; in base64, they take at most 8.1 MB even if they do not compress at all


@dataclass
class WordIndex:
    """Collect the words of texts. A word is of letters, digits and underscores, in small letters."""

    _rows: dict[str, tuple[list[int], bytearray]] = field(default_factory=dict)  # the last row, and the differences

    def add(self, row: int, text: str) -> None:
        """Add the words of a text. Rows are numbers from 0, in their order."""
        for word in set(_WORD.findall(text.lower())):
            last, differences = self._rows.setdefault(word, ([-1], bytearray()))
            difference, last[0] = row - last[0], row
            while difference > 127:
                differences.append(difference & 127 | 128)
                difference >>= 7
            differences.append(difference)

    def content(self, largest: int = LARGEST) -> tuple[bytes, int]:
        """Return the index, and how many of the most frequent words it leaves out to have at most `largest` bytes.

        First come four bytes with the length of the words, then the words, one a line in UTF-8, then the rows of each
        word: base-128 numbers, the lowest digits first, with 0 as the end.
        """
        order = sorted((len(differences), word) for word, (_, differences) in self._rows.items())
        size, kept = 4, 0
        for length, word in order:
            size += length + len(word.encode()) + 2
            if size > largest:
                break
            kept += 1
        words = sorted(word for _, word in order[:kept])
        text = "\n".join(words).encode()
        return len(text).to_bytes(4, "little") + text + b"".join(self._rows[word][1] + b"\0" for word in words), len(
            order
        ) - kept


def packed(content: bytes) -> str:
    """Return bytes as text for a script element, compressed. `DecompressionStream` of the browser unpacks it."""
    return base64.b64encode(zlib.compress(content, 6)).decode()
