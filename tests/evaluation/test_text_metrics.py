"""What an answer scores, by hand."""

import pytest

from tuning.answers.code import code_blocks, parses, python_blocks
from tuning.answers.loops import loops
from tuning.evaluation.text_metrics import score_answer, score_service, score_text

GOOD = "Open it:\n\n```python\nwith open(name) as file:\n    print(file.read())\n```\n"


def test_an_answer_equal_to_its_reference_scores_full():
    scores = score_answer(GOOD, GOOD, "STOP")
    assert scores == pytest.approx(
        {
            "chrf": 100,
            "rouge_l": 100,
            "code": 100,
            "parses": 100,
            "refusal": 0,
            "empty": 0,
            "loop": 0,
            "truncated": 0,
            "length_ratio": 1,
            "characters": len(GOOD),
            "apis": 100,
        }
    )


def test_chrf_and_rouge_of_a_half_right_answer_are_those_of_their_libraries():
    scores = score_answer("use the list", "use the dict", "STOP")
    assert scores["rouge_l"] == pytest.approx(200 / 3)
    assert scores["chrf"] == pytest.approx(46.96, abs=0.01)


def test_an_empty_answer_is_empty_and_has_no_share_of_parsing_blocks():
    scores = score_answer(" \n", "reference", "STOP")
    assert (scores["empty"], scores["chrf"], scores["rouge_l"], scores["code"]) == (100, 0, 0, 0)
    assert "parses" not in scores


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("I'm sorry, but I can't help with that.", 100),
        ("I cannot answer this.", 100),
        ("As an AI language model, I have no opinion.", 100),
        ("I am unable to see your code.", 100),
        ("You cannot do that with a list: use a dict.", 0),
        ("Sorting is what you want.", 0),
    ],
)
def test_a_refusal_is_known_by_its_first_words(answer: str, refuses: int):
    assert score_answer(answer, "x", "STOP")["refusal"] == refuses


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("the list is a list of the list is a list of " * 8, True),
        ("x = 1\n" * 40, True),
        ("Source" * 60, True),
        ("It starts well, with a sentence that makes sense. " + "and so on " * 90, True),
        ("x = 1\n" * 6, False),
        (GOOD, False),
        ("one two three four five six seven eight nine ten eleven twelve " * 2 + "and then something else", False),
        ("", False),
    ],
)
def test_a_loop_is_an_answer_that_mostly_repeats_itself(answer: str, found: bool):
    assert loops(answer) is found


def test_a_block_cut_by_the_token_limit_does_not_count_as_one_that_does_not_parse():
    cut = f"{GOOD}\nand\n\n```python\nfor item in"
    assert score_answer(cut, GOOD, "MAX_TOKENS")["parses"] == 100
    assert score_answer(cut, GOOD, "STOP")["parses"] == 50
    assert "parses" not in score_answer("```python\nfor item in", GOOD, "MAX_TOKENS")


def test_blocks_of_other_languages_are_not_judged_as_python():
    answer = "```sql\nselect 1\n```\n\n```\nprint(1)\n```\n\n    indented = 1\n"
    assert [(block.language, block.fenced) for block in code_blocks(answer)] == [
        ("sql", True),
        ("", True),
        ("", False),
    ]
    assert [block.text for block in python_blocks(answer)] == ["print(1)\n"]


def test_the_code_of_an_html_answer_is_found_and_unescaped():
    blocks = python_blocks("<p>So:</p><pre><code>if a &lt; b:\n    pass\n</code></pre>")
    assert [block.text for block in blocks] == ["if a < b:\n    pass\n"]


@pytest.mark.parametrize(
    ("code", "fits"),
    [
        ("x = 1", True),
        ("print 'old'", False),
        (">>> 1 + 1\n2\n>>> for a in b:\n...     a\n", True),
        (">>> print 'old'\nold\n", False),
        ("(" * 5000 + ")" * 5000, False),
        ("a\0b", False),
        (">>> 1\n  >>> badly indented\n", False),
    ],
)
def test_code_parses_by_pythons_own_grammar(code: str, fits: bool):
    assert parses(code) is fits


def test_a_cut_answer_is_compared_with_as_much_of_the_reference() -> None:
    cut = GOOD[:40]
    assert score_answer(cut, GOOD, "MAX_TOKENS")["chrf"] == pytest.approx(100)
    assert score_answer(cut, GOOD, "STOP")["chrf"] < 90


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "BLOCKED", "MODEL_ARMOR", "SPII"])
def test_an_answer_that_a_filter_stopped_counts_as_cut(reason: str) -> None:
    part = GOOD[:-5] + "\n"
    scores = score_answer(part, GOOD, reason)
    assert (scores["truncated"], scores["empty"], scores["chrf"]) == (100, 0, pytest.approx(100, abs=5))
    assert "parses" not in score_answer("```python\nfor item in", GOOD, reason)
    assert not {"chrf", "rouge_l"} & score_answer("", GOOD, reason).keys()
    assert score_service(reason, []) == {"stopped": 100, "cited": 0}
    assert score_service("STOP", []) == {"stopped": 0, "cited": 0}


def test_an_answer_that_was_cut_before_it_began_is_not_compared_with_the_reference() -> None:
    scores = score_answer("", GOOD, "MAX_TOKENS")
    assert (scores["empty"], scores["truncated"]) == (100, 100)
    assert not {"chrf", "rouge_l"} & scores.keys()


@pytest.mark.parametrize(
    ("answer", "parsing"),
    [
        ("```python\nx =\n```\n```bash\nls", 0),
        ("```python\nx = 1\n```\n\nThe ``` fence", 100),
        ("~~~python\nx = (1", None),
        ("1. so:\n\n   ```python\n   x = 1\n   ```\n\nand", 100),
        ("> ```python\n> x = (1\n> ```\nand", 0),
    ],
)
def test_only_the_block_that_the_limit_cut_is_left_out(answer: str, parsing: int | None) -> None:
    assert score_answer(answer, GOOD, "MAX_TOKENS").get("parses") == parsing


def test_an_answer_that_was_stopped_for_repeating_itself_is_a_loop_whatever_it_repeats():
    assert score_text("." * 96, "REPETITION")["loop"] == 100
    hidden = score_text(" \n", "REPETITION")
    assert (hidden["empty"], hidden["loop"], hidden["truncated"]) == (100, 0, 100), "counted once"
