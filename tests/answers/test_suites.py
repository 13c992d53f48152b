"""The how-to questions: right answers pass, plausible wrong ones fail, and topics stay apart."""

import ast
import hashlib
import json
import random
from pathlib import Path

import pytest

from tests.answers.running import Program, run, run_all
from tuning import answers
from tuning.answers.code import program
from tuning.answers.suite import DEVELOPMENT, JUDGING, Question, find_suite
from tuning.errors import TuningError
from tuning.sources.sample.rows import posts

TOPICS = [json.loads(line) for line in (Path(answers.__file__).parent / "topics.jsonl").read_text().splitlines()]
QUESTIONS = {name: find_suite(name).questions for name in (JUDGING, DEVELOPMENT)}
BOTH = [*QUESTIONS[JUDGING], *QUESTIONS[DEVELOPMENT]]


def topics_by_part() -> dict[str, set[str]]:
    """The topics in the order of their hash. Basic topics are for the suite only: most others are too hard for it."""

    def ordered(is_basic: bool) -> list[str]:
        names = [row["topic"] for row in TOPICS if (row["area"] == "basics") is is_basic]
        return sorted(names, key=lambda topic: hashlib.sha256(f"topic:{topic}".encode()).hexdigest())

    basic, other = ordered(True), ordered(False)
    return {
        "sample": set(other[:250]),
        JUDGING: {*basic[:72], *other[250:274]},
        DEVELOPMENT: {*basic[72:108], *other[346:358]},
    }


def test_each_question_and_post_has_a_topic_of_its_part() -> None:
    names = [row["topic"] for row in TOPICS]
    assert len(names) == len(set(names)) >= 400
    parts = topics_by_part()
    for name, questions in QUESTIONS.items():
        assert {question.topic for question in questions} == parts[name]
        assert len(questions) == len(parts[name])
    assert {post.topic for post in posts()} == parts["sample"]
    assert len(posts()) == 250
    assert (len(QUESTIONS[JUDGING]), len(QUESTIONS[DEVELOPMENT])) == (96, 48)


def test_no_post_asks_what_the_suite_asks() -> None:
    def words(title: str) -> set[str]:
        return {word.strip("`?.,:'\"").lower() for word in title.split()} - {
            "in",
            "python",
            "how",
            "do",
            "i",
            "a",
            "the",
        }

    alike = [
        (post.title, question.title)
        for post in posts()
        for question in BOTH
        if len(words(post.title) & words(question.title)) >= 0.6 * len(words(post.title) | words(question.title))
    ]
    assert alike == []


def calls(code: str) -> frozenset[str]:
    """The names of the functions and methods that the code calls, without the most common."""
    nodes = [node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    names = {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in nodes}
    return frozenset(names - {"print", "len", "range", "str", "int", ""})


def test_no_post_and_no_question_of_the_other_part_is_solved_by_the_same_calls() -> None:
    solved = [(post.title, calls(program(post.answer))) for post in posts()]
    for question in BOTH:
        wanted = calls(program(question.reference))
        assert [title for title, found in solved if len(wanted) > 2 and found == wanted] == [], question.title


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", QUESTIONS)
def test_right_programs_pass_and_wrong_ones_fail(name: str) -> None:
    programs = {}
    for question in QUESTIONS[name]:
        right = [program(question.reference), *question.variants]
        for kind, codes in (("right", right), ("wrong", [*question.wrong, "pass"])):
            assert len(codes) >= 3
            for number, code in enumerate(codes):
                label = f"{kind} {number}: {question.title}"
                programs[label] = Program(label, question.setup, code, question.check)
    results = run_all(list(programs.values()))
    assert {label: one["check"] for label, one in results.items() if one["passed"] != label.startswith("right")} == {}


@pytest.mark.slow
def test_at_most_two_in_a_hundred_answers_to_other_questions_pass() -> None:
    """Draws 300 of the 9,120 pairs of the judging part by a fixed seed."""
    pairs = [(one, other) for one in QUESTIONS[JUDGING] for other in QUESTIONS[JUDGING] if one is not other]
    drawn = random.Random(1).sample(pairs, 300)  # noqa: S311 - a fixed draw
    assert sum(one["passed"] for one in run_all([_crossed(*pair) for pair in drawn]).values()) <= 0.02 * len(drawn)


def _crossed(one: Question, other: Question) -> Program:
    return Program(f"{one.title} | {other.title}", one.setup, program(other.reference), one.check)


def test_an_unknown_suite_is_one_line() -> None:
    with pytest.raises(TuningError, match=r"there is no suite 'hard'\. Choose judging or development"):
        find_suite("hard")


@pytest.mark.parametrize("name", ["found", "same", "printed", "output", "functions"])
def test_a_function_of_an_answer_may_have_the_name_of_a_function_of_the_check(name: str) -> None:
    code = f"def {name}(word):\n    return word[::-1]\n\n\ndef is_palindrome(word):\n    return word == {name}(word)\n"
    check = "assert found(True, args=('level',)) and functions()['is_palindrome']('noon')\nassert output == ''"
    assert run(Program(name, "", code, check))["passed"]
    assert not run(Program(name, "", code.replace("==", "!="), check))["passed"]
