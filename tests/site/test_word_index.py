"""The index of words of a page: what is in it, and what is left out when there is too much."""

import base64
import zlib

import pytest

from tuning.site.word_index import WordIndex, packed


def rows_of(content: bytes) -> dict[str, list[int]]:
    """The rows of each word, read as `search.js` reads them."""
    end = 4 + int.from_bytes(content[:4], "little")
    words, at = content[4:end].decode().split("\n"), end
    found: dict[str, list[int]] = {}
    for word in words:
        row, rows = -1, []
        while content[at]:
            difference = shift = 0
            while True:
                difference |= (content[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if content[at - 1] < 128:
                    break
            row += difference
            rows.append(row)
        found[word], at = rows, at + 1
    assert at == len(content)
    return found


def test_each_word_has_its_rows() -> None:
    index = WordIndex()
    texts = {0: "Read a file: pd.read_csv('a')", 1: "Datei öffnen", 127: "a", 128: "a", 129: "A", 20_000: "file a 文件"}
    for row, text in texts.items():
        index.add(row, text)
    content, left_out = index.content()
    found = rows_of(content)
    assert found["a"] == [0, 127, 128, 129, 20_000]
    assert found["file"] == [0, 20_000]
    assert (found["read_csv"], found["öffnen"], found["文件"]) == ([0], [1], [20_000])
    assert list(found) == sorted(found)
    assert left_out == 0


def test_a_long_word_is_several() -> None:
    index = WordIndex()
    index.add(0, "x" * 90)
    assert {len(word) for word in rows_of(index.content()[0])} == {40, 10}


@pytest.mark.parametrize("largest", [60, 200, 390])
def test_the_most_frequent_words_are_left_out_first(largest: int) -> None:
    index = WordIndex()
    for row in range(300):
        index.add(row, f"the {'python ' * (row % 2)} w{row % 20}")
    content, left_out = index.content(largest)
    assert len(content) <= largest
    found = rows_of(content)
    assert left_out == 22 - len(found) > 0
    assert "the" not in found
    assert all(len(rows) == 15 for rows in found.values())


def test_what_is_packed_is_unpacked() -> None:
    assert zlib.decompress(base64.b64decode(packed(b"words"))) == b"words"
