"""Test that the hashes correspond exactly to the sets of shingles."""

import random

import numpy as np
import pytest

from tests.marts import jaccard
from tuning.dataset.similar.shingles import distinct, hash_shingles, shingles, text_keys

TEXTS = [
    "",
    "!!! ...",
    "one",
    "one two three four",
    "one two three four five",
    "One two THREE four five six; one two three four five",
    "snake_case, x2 and 3.14 — naïve café İstanbul ΑΣ ΣΑΣ ß",
    "日本語 の テキスト です ね と 言う",
    "a\x00b c\nd\te f",
    "١٢٣ ² ½ ⅷ _ __init__ a b",
]


@pytest.mark.parametrize("size", [1, 5, 13])
def test_hashes_are_as_many_and_as_equal_as_the_shingles(size: int) -> None:
    hashes, offsets = hash_shingles(TEXTS, size)
    numbers = {}
    for text, begin, end in zip(TEXTS, offsets[:-1], offsets[1:], strict=True):
        words = sorted(shingles(text, size))
        assert len(set(hashes[begin:end].tolist())) == len(words), text
        for word, (alone, _) in ((word, hash_shingles([" ".join(word)], size)) for word in words):
            assert alone[0] in hashes[begin:end], (text, word)
            assert numbers.setdefault(word, alone[0]) == alone[0]
    assert len(set(numbers.values())) == len(numbers)


def test_hashes_do_not_depend_on_the_other_texts() -> None:
    together, offsets = hash_shingles(TEXTS)
    for number, text in enumerate(TEXTS):
        assert together[offsets[number] : offsets[number + 1]].tolist() == hash_shingles([text])[0].tolist()


def test_hashes_are_the_same_on_every_machine() -> None:
    assert hash_shingles(["the quick brown fox jumps"])[0].tolist() == [8027262473141870970]


def test_no_texts_have_no_hashes() -> None:
    hashes, offsets = hash_shingles([])
    assert (len(hashes), offsets.tolist()) == (0, [0])


def test_random_texts_have_the_similarity_of_their_sets() -> None:
    source = random.Random(7)  # noqa: S311 - test data
    for _ in range(200):
        words = [source.choice("abcdefgh") for _ in range(source.randrange(30))]
        one, other = " ".join(words), " ".join(words[: source.randrange(31)] + ["z"] * source.randrange(3))
        sets = [set(hash_shingles([text])[0].tolist()) for text in (one, other)]
        expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1]) if sets[0] and sets[1] else 0
        assert jaccard(one, other) == expected


def test_keys_are_equal_for_texts_that_differ_in_case_and_white_space_only() -> None:
    keys = text_keys(["Some  text\n", "some TEXT", "some texts"])
    assert keys[0] == keys[1] != keys[2]


def test_distinct_sorts_and_keeps_each_once() -> None:
    assert distinct(np.array([3, 1, 3, 2, 1], dtype=np.uint64)).tolist() == [1, 2, 3]
    assert distinct(np.array([], dtype=np.uint64)).tolist() == []
