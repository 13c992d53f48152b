"""Test which rows with much in common are duplicates: equal words are not enough where code or questions differ."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.folders import dropped, made, sides, texts
from tests.marts import row, words

PAIRS = [
    ("for x in items[1:]:\n    total += x * x", "for x in items[:-1]:\n    total -= x * x"),
    ("print(df[df.a + df.b > df.c].iloc[-1])", "print(df[df.a - df.b < df.c].iloc[1])"),
    ("value = table[0][1] * 2.5", "value = table[1][0] * 25"),
    ("for a in b:\n    c(a)\nreturn d", "for a in b:\n    c(a)\n    return d"),
    ("ok = n != 1 and not m", "ok = n == 1 and not m"),
]
ONE_LINERS = [
    "<p><code>pip install -U pandas</code></p>",
    "<p>Restart the kernel, then it works.</p>",
    "<p>カーネルを再起動してからもう一度実行してください。</p>",
]


def written(number: int, code: str, before: str = "", after: str = "") -> dict[str, Any]:
    """A row whose answer is this code, between other code."""
    answer = f"<p>Write it as a plain loop:</p><pre><code>{before}{code}\n{after}</code></pre>"
    return row(number, answer_body=answer)


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("lines", [0, 5, 60])
def test_answers_whose_code_differs_are_no_duplicates(tmp_path: Path, one: str, other: str, lines: int) -> None:
    around = "".join(f"step_{at} = read({at}, step_{at - 1})\n" for at in range(1, lines + 1))
    rows = [row(number) for number in range(100, 160)]
    rows[3:5] = [written(103, one, around, around), written(104, other, around, around)]
    dataset = made(tmp_path, rows)
    assert dropped(dataset) == {}
    if lines == 60:  # so alike that both are on one side
        assert sides(dataset)[103] == sides(dataset)[104]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_questions_whose_code_differs_are_no_duplicates(tmp_path: Path, one: str, other: str) -> None:
    rows = [row(number) for number in range(100, 160)]
    for at, code in ((3, one), (4, other)):
        body = f"<pre><code>{code}\n</code></pre><p>{words(7, 60)}</p>"
        rows[at] |= {"question_title": "The same", "question_body": body}
    assert dropped(made(tmp_path, rows)) == {}


@pytest.mark.parametrize(
    ("one", "other"), [("C++", "C#"), ("shift(-1)", "shift(+1)"), ("the number -9", "the number 9")]
)
def test_texts_that_differ_in_a_sign_outside_code_are_no_duplicates(tmp_path: Path, one: str, other: str) -> None:
    rows = [row(number) for number in range(100, 160)]
    for at, sign in ((3, one), (4, other)):
        rows[at]["answer_body"] = f"<p>{words(7, 30)} {sign} {words(8, 30)}</p>"
        rows[at] |= {"question_title": f"How in {sign}?", "question_body": f"<p>{words(9, 60)}</p>"}
    dataset = made(tmp_path, rows)
    assert dropped(dataset) == {}
    assert sides(dataset)[103] == sides(dataset)[104]


def test_equal_code_in_nearly_equal_prose_is_a_duplicate(tmp_path: Path) -> None:
    rows = [row(number) for number in range(100, 160)]
    for at, last in ((3, "here"), (4, "there!")):
        rows[at]["answer_body"] = f"<p>{words(7, 60)} {last}</p><pre><code>x += 1\n</code></pre>"
    assert dropped(made(tmp_path, rows)) == {"near-duplicate answer": 1}


@pytest.mark.parametrize("answer", ONE_LINERS)
def test_an_equal_short_answer_drops_and_groups_no_unrelated_question(tmp_path: Path, answer: str) -> None:
    rows = [
        row(number, answer_body=answer if number < 130 else f"<p>{words(number)}</p>") for number in range(100, 160)
    ]
    dataset = made(tmp_path, rows)
    assert dropped(dataset) == {}
    groups = [one.group for split in ("train", "eval") for one in dataset.attributions(split)]
    assert len(set(groups)) == 60
    assert dataset.manifest.leaks["short_answers"] == sum(
        split == "eval" and number < 130 for number, split in sides(dataset).items()
    )


def test_an_equal_short_answer_to_the_same_body_is_a_duplicate(tmp_path: Path) -> None:
    rows = [row(number) for number in range(100, 160)]
    for at in (3, 4):
        rows[at] |= {"question_body": f"<p>{words(7, 20)}</p>", "answer_body": ONE_LINERS[0]}
        rows[at]["question_title"] = f"A very different title {words(at, 20)}"
    assert dropped(made(tmp_path, rows)) == {"same answer": 1}


def test_nearly_equal_texts_without_spaces_are_duplicates(tmp_path: Path) -> None:
    text = "<p>ファイルの各行から日付を取り出したいのですが、形式が行ごとに違うので変換が途中で失敗します。{}</p>"
    rows = [row(number) for number in range(100, 160)]
    for at, end in ((3, "どのように書けばよいでしょうか。"), (4, "どのように書けばよいですか。")):
        rows[at] |= {"question_title": "日付の変換", "question_body": text.format(end)}
    assert dropped(made(tmp_path, rows)) == {"near-duplicate question": 1}


def pieces(text: str) -> set[str]:
    """All sequences of six characters, white space aside."""
    text = "".join(text.split())
    return {text[at : at + 6] for at in range(len(text) - 5)}


def overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def test_no_answer_of_evaluation_is_in_training_by_its_characters(tmp_path: Path) -> None:
    source = random.Random(4)  # noqa: S311 - test data
    characters = [chr(code) for code in (*range(0x3042, 0x3090), *range(0x4E00, 0x4E80))]
    rows = [row(number) for number in range(100, 240)]
    answers = {}
    for at in range(0, 120, 3):
        prose = "".join(source.choices(characters, k=100))
        code = "\n".join(f"value_{line} = values[{line}] + {at}" for line in range(30))
        texts_ = [(prose, code), (f"{prose[:50]}変{prose[51:]}", code), (prose, code.replace("] +", "] -", 1))]
        for place, (prose_text, code_text) in enumerate(texts_, at):
            answers[100 + place] = f"{prose_text}\n{code_text}"
            rows[place]["answer_body"] = f"<p>{prose_text}</p><pre><code>{code_text}\n</code></pre>"
    dataset = made(tmp_path, rows, eval_fraction=0.3)
    assert dropped(dataset) == {"near-duplicate answer": 40}  # the second of three; the third has other code
    assert overlap(pieces(answers[100]), pieces(answers[102])) > 0.9
    train, evaluation = ([pieces(answer) for _, answer in texts(dataset, split)] for split in ("train", "eval"))
    assert len(evaluation) > 20
    assert max(overlap(one, other) for one in train for other in evaluation) < 0.6
