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


def test_the_functions_of_an_answer_do_not_find_what_the_check_imports_and_defines() -> None:
    check = "import json\nwanted = '[1]'\nassert to_json([1]) == wanted and not can_see()"
    right = "import json\ndef to_json(data):\n    return json.dumps(data)\n"
    seen = "def can_see():\n    return globals().keys() & {'wanted', 'same', 'output', 'answer_code'}\n"
    assert run(Program("own import", "", right + seen, check))["passed"]
    assert run(Program("import of the setup", "import json", right.partition("\n")[2] + seen, check))["passed"]
    result = run(Program("no import", "", right.partition("\n")[2] + seen, check))
    assert (result["passed"], result["check"].partition(".")[0]) == (False, "NameError: name 'json' is not defined")


@pytest.mark.parametrize(
    ("code", "name", "is_used"),
    [
        ("match 1:\n    case int():\n        pass", "Match", True),
        ("# match\ntext = 'match value: Counter'", "Match", False),
        ("text = 'Counter'", "Counter", False),
        ("from collections import Counter", "Counter", True),
        ("import collections as c\nc.Counter()", "Counter", True),
        ("import xml.etree.ElementTree as ET", "ElementTree", True),
        ("from xml.etree.ElementTree import Element", "ElementTree", True),
        ("sorted([], key=lambda item: item)", "Lambda", True),
    ],
)
def test_a_check_sees_what_the_source_uses(code: str, name: str, is_used: bool) -> None:
    assert run(Program(name, "", code, f"assert uses({name!r}) is {is_used} and answer_code == {code!r}"))["passed"]


CASES = {
    "handle differently shaped data with a match statement": (
        "def kind(value):\n    return {int: 'number', str: 'text'}.get(type(value), 'list')",
        "def kind(value):\n    match value:\n        case int(): return 'number'\n"
        "        case str(): return 'text'\n        case list(): return 'list'",
    ),
    "write a string to a text file": (
        "def save_text(path, text):\n    with open(path, 'w') as file:\n        file.write(text + '\\n')",
        "def save_text(path, text):\n    with open(path, 'w') as file:\n        file.write(text)",
    ),
    "get the first line of a file": (
        "def first_line(path):\n    return open(path).readline()",
        "def first_line(path):\n    return open(path).readline().rstrip('\\n')",
    ),
    "turn a dictionary into a JSON string": (
        "def to_json(data):\n    return json.dumps(data)",
        "import json\ndef to_json(data):\n    return json.dumps(data)",
    ),
    "parse a JSON string into a dictionary": (
        "def parse_json(text):\n    return json.loads(text)",
        "import json\ndef parse_json(text):\n    return json.loads(text)",
    ),
    "make a list of the squares of numbers": (
        "squares = [n * n for n in numbers]\nprint(numbers)",  # the right list is made, but another one is printed
        "print([36])\nprint([n * n for n in numbers])",  # a right line among others
    ),
    "check whether a list is empty": (
        "def is_empty(items):\n    return not items\ndef is_empty(items):\n    return bool(items)",
        "def is_empty(items):\n    return bool(items)\ndef is_empty(items):\n    return not items",  # it stays
    ),
}


@pytest.mark.parametrize("topic", CASES)
def test_a_check_is_as_strict_as_its_question(topic: str) -> None:
    (question,) = (question for question in BOTH if question.topic == topic)
    wrong, right = CASES[topic]
    assert not run(Program(topic, question.setup, wrong, question.check))["passed"]
    assert run(Program(topic, question.setup, right, question.check))["passed"]


def test_a_question_that_says_print_is_checked_by_what_is_printed() -> None:
    printing = [question for question in BOTH if "print" in question.body and "def " not in program(question.reference)]
    assert len(printing) > 50
    assert [question.topic for question in printing if "found(" in question.check] == []
