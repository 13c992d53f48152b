"""The judging questions: right answers pass, plausible wrong ones fail, and topics stay apart."""

import hashlib
import json
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.answers.running import Program, run_all
from tuning import answers
from tuning.answers.code import program
from tuning.sources import sample

ANSWERS = Path(answers.__file__).parent
POSTS = Path(sample.__file__).parent / "posts"
QUESTIONS: list[dict[str, Any]] = [
    question
    for path in sorted((ANSWERS / "suites").glob("judging_*.toml"))
    for question in tomllib.loads(path.read_text())["question"]
]
POST_LIST: list[dict[str, Any]] = [
    post for path in sorted(POSTS.glob("*.toml")) for post in tomllib.loads(path.read_text())["post"]
]
PARTS = (("sample", 250), ("judging", 96), ("development", 48), ("training", 46))


def topics_by_part() -> dict[str, set[str]]:
    """The topics in the order of their hash, the first 250 for the sample, the next 96 for the judging part, …"""
    topics = [json.loads(line)["topic"] for line in (ANSWERS / "topics.jsonl").read_text().splitlines()]
    assert len(topics) == len(set(topics)) == sum(size for _, size in PARTS)
    order = iter(sorted(topics, key=lambda topic: hashlib.sha256(f"topic:{topic}".encode()).hexdigest()))
    return {part: {next(order) for _ in range(size)} for part, size in PARTS}


def test_each_question_and_post_has_a_topic_of_its_part() -> None:
    parts = topics_by_part()
    assert {question["topic"] for question in QUESTIONS} == parts["judging"]
    posts = [post["topic"] for post in POST_LIST]
    assert len(posts) == len(set(posts))
    assert set(posts) <= parts["sample"]


def test_no_post_asks_what_the_suite_asks() -> None:
    def words(title: str) -> set[str]:
        return {word.strip("`?.,:'\"").lower() for word in title.split()}

    alike = [
        (post["title"], question["title"])
        for post in POST_LIST
        for question in QUESTIONS
        if len(words(post["title"]) & words(question["title"])) >= 0.8 * len(words(question["title"]))
    ]
    assert alike == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_right_programs_pass_and_wrong_ones_fail() -> None:
    programs = {}
    for question in QUESTIONS:
        right = [program(question["reference"]), *question["variants"]]
        for kind, codes in (("right", right), ("wrong", question["wrong"])):
            assert len(codes) >= 2
            for number, code in enumerate(codes):
                name = f"{kind} {number}: {question['title']}"
                programs[name] = Program(name, question["setup"], code, question["check"])
    results = run_all(list(programs.values()))
    assert {name: one["check"] for name, one in results.items() if one["passed"] != name.startswith("right")} == {}


@pytest.mark.slow
def test_at_most_two_in_a_hundred_answers_to_other_questions_pass() -> None:
    """Draws 150 of the 9,120 pairs by a fixed seed."""
    pairs = [(one, other) for one in QUESTIONS for other in QUESTIONS if one is not other]
    drawn = random.Random(1).sample(pairs, 150)  # noqa: S311 - a fixed draw
    results = run_all(
        [
            Program(f"{one['title']} | {other['title']}", one["setup"], program(other["reference"]), one["check"])
            for one, other in drawn
        ]
    )
    assert sum(one["passed"] for one in results.values()) <= 0.02 * len(drawn)
