"""Test that the hashes correspond exactly to the shingles, and what the shingles compare."""

import random

import numpy as np
import pytest

from tests.marts import jaccard
from tuning.dataset.similar.shingles import (
    NEAR,
    Shingle,
    Sizes,
    compared_answer,
    distinct,
    hash_shingles,
    shingles,
    shingles_in_order,
    text_keys,
)
from tuning.dataset.similar.words import code_of

TEXTS = [
    "",
    "!!! ...",
    "one",
    "one two three four",
    "one two three four five",
    "One two THREE four five six; one two three four five",
    "snake_case, x2 and 3.14 — naïve café İstanbul ΑΣ ΣΑΣ ß",
    "日本語 の テキスト です ね と 言う pip install -U pandas",
    "ภาษาไทยไม่มีช่องว่าง and 한국어 는 있습니다",
    "a\x00b c\nd\te f",
    "١٢٣ ² ½ ⅷ _ __init__ a b",
    "use `x[1:]` or ``a`b`` here\n\n```python\ntotal -= items[:-1]\n-1\n```\nthen `+=`, not `=",
    '<p>a</p><pre class="x"><code>b &gt; "c"[1:]\n</code></pre> d',
]
PIECES = [
    "a",
    "b1",
    "日",
    "ท",
    "\u3099",
    "`",
    "``",
    "```",
    "\n",
    " ",
    "+",
    "-[",
    "<pre>",
    "</pre>",
    "<code>",
    '"',
    "\\",
]


@pytest.mark.parametrize(
    "sizes", [NEAR, Sizes(1, 1, 1), Sizes(13, 20, 40, False, False), Sizes(3, 2, 4, least_named=2)]
)
def test_each_shingle_has_one_hash_and_each_hash_one_shingle(sizes: Sizes) -> None:
    source = random.Random(3)  # noqa: S311 - test data
    texts = [*TEXTS, *("".join(source.choices(PIECES, k=source.randrange(50))) for _ in range(500))]
    hashes, offsets = hash_shingles(texts, sizes)
    hash_of: dict[Shingle, int] = {}
    for text, begin, end in zip(texts, offsets[:-1], offsets[1:], strict=True):
        for shingle, one in zip(shingles_in_order(text, sizes), hashes[begin:end].tolist(), strict=True):
            assert hash_of.setdefault(shingle, one) == one, (text, shingle)
    assert len(set(hash_of.values())) == len(hash_of) > 500


def test_hashes_do_not_depend_on_the_other_texts() -> None:
    together, offsets = hash_shingles(TEXTS)
    for number, text in enumerate(TEXTS):
        assert together[offsets[number] : offsets[number + 1]].tolist() == hash_shingles([text])[0].tolist()


def test_hashes_are_the_same_on_every_machine() -> None:
    assert hash_shingles(["the quick brown fox jumps"])[0].tolist() == [61120487476854262]


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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("items[1:]", "items[:-1]"),
        ("total += item", "total -= item"),
        ("df[df.a > df.b]", "df[df.a < df.b]"),
        ("x[0]", "x[-1]"),
        ("x[0]", "x(0)"),
        ("a == b", "a != b"),
        ("a // b", "a / b"),
        ("2 ** n", "2 * n"),
        ("(1,)", "(1)"),
        ("f(*args)", "f(**args)"),
        ("not a and b", "not a & b"),
        ("1.5", "1,5"),
        ("+=", "-="),
    ],
)
@pytest.mark.parametrize(
    "form", ["`{}`", "```\n{}\n```", "<pre><code>{}</code></pre>", "```\nsome = {}\nprint(some)\n```"]
)
def test_code_that_differs_in_operators_only_has_other_shingles(one: str, other: str, form: str) -> None:
    assert shingles(form.format(one)) != shingles(form.format(other))
    assert code_of(form.format(one)) != code_of(form.format(other))


def test_prose_that_differs_in_punctuation_only_has_the_same_shingles() -> None:
    one = "Well - you can (of course) do that: first a; then b, and so on. Right?"
    assert shingles(one) == shingles("Well you can, of course, do that! First a, then b and so on; right...")


def test_code_is_the_same_whatever_its_white_space_within_lines_and_quotes() -> None:
    one, other = "```\nif a:\n    b = 'c'\nd\n```", '```python\nif a:\n    b="c"  \n\nd\n```'
    assert shingles("```\nx = a [ 1 : ]\n```") == shingles("`x=a[1:]`")
    assert code_of(one) == code_of(other)


def test_code_with_other_indents_or_other_case_is_other_code() -> None:
    codes = [
        "```\nfor a in b:\n    c\nd\n```",
        "```\nfor a in b:\n    c\n    d\n```",
        "```\nfor A in b:\n    c\nd\n```",
    ]
    assert len(set(map(code_of, codes))) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "配列の要素を一つずつ取り出して別の配列に入れたいのですが、途中で処理が止まってしまいます。原因は何でしょうか。",
            "配列の要素を一つずつ取り出して別の配列に入れたいのですが、途中で処理が止まってしまいます。原因は何ですか。",
        ),
        (
            "我想把一个很大的文件按行读取、但是内存不够、程序总是在中途停止。请问应该怎么做才能避免这个问题。",
            "我想把一个很大的文件按行读取、但是内存不够、程序总是在半路停止。请问应该怎么做才能避免这个问题。",
        ),
        (
            "ฉันต้องการอ่านไฟล์ขนาดใหญ่ทีละบรรทัดแต่หน่วยความจำไม่พอและโปรแกรมหยุดทำงานควรทำอย่างไรดี",
            "ฉันต้องการอ่านไฟล์ขนาดใหญ่ทีละบรรทัดแต่หน่วยความจำไม่พอและโปรแกรมหยุดทำงานควรทำอย่างไร",
        ),
    ],
)
def test_texts_without_spaces_are_compared_by_characters(one: str, other: str) -> None:
    assert 0.8 <= jaccard(one, other) < 1
    assert jaccard(one, other[::-1]) < 0.2


def test_keys_are_equal_for_texts_that_differ_in_case_and_white_space_only() -> None:
    keys = text_keys(["Some  text\n", "some TEXT", "some texts"])
    assert keys[0] == keys[1] != keys[2]


def test_a_short_answer_is_compared_with_the_body_of_its_question() -> None:
    long_ = "It is slow. " * 10 + "Read the file line by line."
    assert compared_answer("Title\n\nBody", "`pip install x`") == "Body\n\n`pip install x`"
    assert compared_answer("Title\n\nBody", long_) == long_


def test_distinct_sorts_and_keeps_each_once() -> None:
    assert distinct(np.array([3, 1, 3, 2, 1], dtype=np.uint64)).tolist() == [1, 2, 3]
    assert distinct(np.array([], dtype=np.uint64)).tolist() == []
