"""Run one program and its check: the process that runs inside the sandbox.

The sandbox calls `run`. Trusted programs need no sandbox: for them, run ``python -I child.py``, which imports nothing
else from this package. It reads a JSON object with ``setup``, ``code`` and ``check`` from standard input. As the last
line of its output, it writes a JSON object with ``ran``, ``passed``, ``error``, ``check`` (why the check failed) and
``output``.

The three programs run one after another: ``setup`` (variables and files that the question shows), then the answer's
``code`` in the same namespace, then ``check`` in a copy of it: the functions of the answer do not find what the check
imports and defines. What they change by ``global`` is in their ``__globals__``. The check fails by raising any
exception. It may use every name that ``setup`` and ``code`` define, and these:

- ``output``: what ``code`` printed;
- ``printed(value)``: whether the output shows `value`, at any place;
- ``found(value, args=())``: whether ``code`` computed `value`: it is in a variable that ``code`` made or changed, it is
  printed, or a function or class that ``code`` defines returns it when called with `args`;
- ``functions()``: the functions that ``code`` defines, by name, for checks that call them;
- ``same(one, other)``: equality that also compares floats, arrays and DataFrames;
- ``answer_code``: the text of ``code``;
- ``uses(name)``: whether ``code`` contains `name`: an identifier (``uses("Counter")``), or a kind of syntax by the name
  of its class in the module ``ast`` (``uses("Match")``). Comments and strings do not count.
"""

import ast
import contextlib
import copy
import io
import json
import math
import os
import re
import sys
import traceback
import types
from typing import Any

MOST_OUTPUT = 100_000  # characters of an answer's output that are kept


class Output(io.StringIO):
    """Keep the first characters of what is printed and drop the rest."""

    def write(self, text: str) -> int:
        """Write as many characters of `text` as the limit still allows. Return the length of the whole `text`."""
        super().write(text[: max(0, MOST_OUTPUT - self.tell())])
        return len(text)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, item by item. Floats may differ by a relative 1e-9."""
    kinds = {type(value).__module__.split(".")[0] for value in (one, other)}
    if "pandas" in kinds or "numpy" in kinds:
        return _same_arrays(one, other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) or isinstance(other, float):
        try:
            return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
        except TypeError:
            return False
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if not isinstance(one, type(other)) and not isinstance(other, type(one)):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def _same_arrays(one: Any, other: Any) -> bool:
    import numpy as np
    import pandas as pd

    if isinstance(one, (pd.DataFrame, pd.Series)) != isinstance(other, (pd.DataFrame, pd.Series)):
        return False
    try:
        if isinstance(one, pd.DataFrame) and isinstance(other, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other, check_dtype=False, check_names=False, check_index_type=False)
        elif isinstance(one, pd.Series) and isinstance(other, pd.Series):
            pd.testing.assert_series_equal(one, other, check_dtype=False, check_names=False, check_index_type=False)
        else:
            return _same_items(np.asarray(one), np.asarray(other))
    except AssertionError:
        return False
    return True


def _same_items(first: Any, second: Any) -> bool:
    import numpy as np

    if first.shape != second.shape:
        return False
    try:
        return bool(np.allclose(first.astype(float), second.astype(float), equal_nan=True))
    except (TypeError, ValueError):
        return bool((first == second).all())


class Check:
    """Offer the functions that a check may call."""

    def __init__(self, before: dict[str, object], namespace: dict[str, object], output: str) -> None:
        self._made = {
            name: value
            for name, value in namespace.items()
            if not name.startswith("__") and (name not in before or not self._unchanged(before[name], value))
        }
        self._output = output

    @staticmethod
    def _unchanged(before: object, now: object) -> bool:
        try:
            return same(before, now)
        except Exception:
            return before is now

    def functions(self) -> dict[str, object]:
        """Return the functions and classes that the code defines, by name."""
        return {
            name: value
            for name, value in self._made.items()
            if getattr(value, "__module__", "") == "__main__" and callable(value)
        }

    def found(self, value: object, args: tuple[object, ...] = ()) -> bool:
        """Return whether the code computed `value`. See the module's docstring."""
        for made in self._made.values():
            with contextlib.suppress(Exception):
                if same(made, value):
                    return True
        if self.printed(value):
            return True
        for function in self.functions().values():
            with contextlib.suppress(BaseException), contextlib.redirect_stdout(Output()) as said:
                result = function(*copy.deepcopy(args))  # type: ignore[operator]
                if hasattr(result, "__next__"):
                    result = type(value)(result) if isinstance(value, (list, tuple, set)) else list(result)
                if same(result, value) or _shows(said.getvalue(), value):
                    return True
        return False

    def printed(self, value: object) -> bool:
        """Return whether the output shows `value`, whatever else it shows.

        Text and numbers may stand in a sentence. A list may also be shown by its items, on one line or one per line.
        """
        return _shows(self._output, value)


def _shows(output: str, value: object) -> bool:
    text = output.strip()
    if isinstance(value, str):
        return _shows_text(text, value.strip())
    parts = [part.strip() for line in [text, *text.splitlines()] for part in [line, *_after_labels(line)]]
    if any(_is_literal(part, value) for part in parts):
        return True
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _shows_number(text, value)
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return _shows_items(text, parts, value)
    shown = repr(value)
    if len(shown) >= 2 and re.search(rf"(?<![\w.]){re.escape(shown)}(?![\w.]*\w)", text):
        return True
    return not isinstance(value, (bool, type(None))) and str(value) in text


def _after_labels(line: str) -> list[str]:
    """Return what follows a label in the line, as in "Result: value" or "result = value"."""
    return [line.partition(sign)[2] for sign in ":=" if sign in line]


def _is_literal(text: str, value: object) -> bool:
    with contextlib.suppress(Exception):
        return same(ast.literal_eval(text), value)
    return False


def _shows_text(text: str, wanted: str) -> bool:
    lines = [line.strip() for line in text.splitlines()]
    if wanted and (text == wanted or wanted in lines or ("\n" in wanted and wanted in text)):
        return True
    # As in "Result: value". Shorter values could occur by chance.
    around = r"(?<!\w)(?<!\w[.,/-]){}(?![.,/-]?\w)"
    return len(wanted) >= 3 and re.search(around.format(re.escape(wanted)), text) is not None


def _shows_number(text: str, value: float) -> bool:
    """Return whether the number stands in the text, but not as an item of a list, tuple, set or dictionary."""
    outside, replaced = text, 1
    while replaced:
        outside, replaced = re.subn(r"[\[({][^\[\](){}]*,[^\[\](){}]*[\])}]", " ... ", outside)
    numbers = re.findall(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?(?!\w|\.\d)", outside)
    return any(same(float(number.replace(",", "")), float(value)) for number in numbers)


def _shows_items(text: str, parts: list[str], value: Any) -> bool:
    """Return whether a collection stands in the text: as a Python literal, or its items on one line or one per line."""
    for group in re.finditer(r"[\[({][^\[\](){}]*[\])}]", text):
        if text[: group.start()].rstrip()[-1:] not in ("[", ",") and _is_literal(group.group(), value):
            return True
    if not isinstance(value, (list, tuple)):
        return False
    if text.count(repr(value)) > text.count(f"[{value!r}"):
        return True
    if len(value) < 2:
        return False
    if any(_are_same(_items_of(part), value) for part in parts):
        return True
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _has_run(lines, value) or _has_run([line.rpartition(":")[2].strip() for line in lines], value)


def _has_run(lines: list[str], value: Any) -> bool:
    """Return whether successive lines are the items of `value`. Numbers must not be part of a longer column."""
    for start in range(len(lines) - len(value) + 1):
        end = start + len(value)
        around = [*lines[max(0, start - 1) : start], *lines[end : end + 1]]
        if _are_same(lines[start:end], value) and not (_is_number(lines[start]) and any(map(_is_number, around))):
            return True
    return False


def _items_of(line: str) -> list[str]:
    """Return the words of a line without commas, quotes and one pair of brackets around them."""
    return re.sub(r"^[\[({]|[\])}]$|[,'\"]", " ", line).split()


def _are_same(words: list[str], value: Any) -> bool:
    return len(words) == len(value) and all(
        word == str(item) or (isinstance(item, (int, float)) and _is_number(word) and same(float(word), float(item)))
        for word, item in zip(words, value, strict=True)
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+\.?\d*", text) is not None


def _names(code: str) -> set[str]:
    """Return the identifiers in the code, and the names of the classes of its syntax."""
    names = set()
    with contextlib.suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(code)):
            names.add(type(node).__name__)
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.alias):
                names.update(node.name.split("."))
            elif isinstance(node, ast.ImportFrom):
                names.update((node.module or "").split("."))
    return names


def run(setup: str, code: str, check: str) -> dict[str, object]:
    """Run the three programs and return what happened.

    Errors of `code` and `check` are part of the result. An error of `setup` is raised.
    """
    # Replace the module `__main__`, so that pickle, dataclasses and multiprocessing find what the programs define.
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    namespace = module.__dict__
    namespace["__builtins__"] = __builtins__
    exec(compile(setup, "<setup>", "exec"), namespace)  # noqa: S102 - that is the purpose, inside a sandbox
    before = {}
    for name, value in namespace.items():
        if name.startswith("__"):
            continue
        try:
            before[name] = copy.deepcopy(value)
        except Exception:
            before[name] = value
    said = Output()
    error = ""
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(Output()):
        try:
            exec(compile(code, "<answer>", "exec"), namespace)  # noqa: S102
        except SystemExit as ended:
            error = "" if not ended.code else f"SystemExit: {ended.code}"
        except BaseException as raised:
            error = "".join(traceback.format_exception_only(raised)).strip()
    passed, reason = False, ""
    checker = Check(before, namespace, said.getvalue())
    helpers = {
        "output": said.getvalue(),
        "printed": checker.printed,
        "found": checker.found,
        "functions": checker.functions,
        "same": same,
        "answer_code": code,
        "uses": _names(code).__contains__,
    }
    # The check gets a copy, so that the answer's functions find neither its imports nor these helpers.
    namespace = namespace | helpers
    with contextlib.redirect_stdout(Output()), contextlib.redirect_stderr(Output()):
        try:
            exec(compile(check, "<check>", "exec"), namespace)  # noqa: S102
            passed = True
        except BaseException as raised:
            reason = "".join(traceback.format_exception_only(raised)).strip()
    return {"ran": not error, "passed": passed, "error": error[:500], "check": reason[:500], "output": said.getvalue()}


if __name__ == "__main__":
    request = json.loads(sys.stdin.read())
    sys.stdin = io.StringIO()
    real = os.dup(1)
    result = run(request["setup"], request["code"], request["check"])
    os.write(real, b"\n" + json.dumps(result).encode() + b"\n")
    os._exit(0)
