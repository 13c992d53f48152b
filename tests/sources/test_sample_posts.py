"""The posts that were written for this project: their code runs, and they are not made from a template."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from tests.answers.running import Program, run_all
from tuning.answers.code import code_blocks, program
from tuning.sources import sample

POSTS: list[dict[str, Any]] = [
    post
    for path in sorted((Path(sample.__file__).parent / "posts").glob("*.toml"))
    for post in tomllib.loads(path.read_text())["post"]
]
PAIRS = [post for post in POSTS if post.get("worse")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_code_of_every_answer_runs_and_passes_its_check() -> None:
    results = run_all([Program(post["title"], "", program(post["answer"]), post["check"]) for post in POSTS])
    assert len(results) == len(POSTS)
    assert {title: one for title, one in results.items() if not (one["ran"] and one["passed"])} == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_worse_answer_passes_the_check_of_its_post() -> None:
    results = run_all([Program(post["title"], "", program(post["worse"]), post["check"]) for post in PAIRS])
    assert len(results) == len(PAIRS)
    assert [title for title, one in results.items() if one["passed"]] == []


def test_worse_answers_cannot_be_told_by_their_form() -> None:
    around = [re.split(r"```.*?```", post["worse"], maxsplit=1, flags=re.DOTALL) for post in PAIRS]
    assert mean("`" in before + after for before, after in around) > 0.8
    assert mean(bool(after.strip()) for _, after in around) > 0.8
    assert mean(len(post["worse"]) for post in PAIRS) > 0.65 * mean(len(post["answer"]) for post in PAIRS)


def test_each_answer_has_one_python_fence_and_is_short() -> None:
    for post in POSTS:
        assert len(code_blocks(post["answer"])) == 1, post["title"]
        assert "```python\n" in post["answer"], post["title"]
        assert len(post["title"]) + len(post["question"]) + len(post["answer"]) < 1_250, post["title"]
        assert post["tags"][0] == "python"


def test_at_most_one_answer_in_twenty_begins_like_another() -> None:
    begins = Counter(" ".join(post["answer"].split()[:3]).lower() for post in POSTS)
    assert max(begins.values()) <= 0.05 * len(POSTS)
