"""Code is found in answers as models write them, and values are compared as people do."""

import pytest

from tests.answers.running import Program, run
from tuning.answers.code import program, runnable


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Use:\n```python\nx = 1\n```\nand\n\n```py\ny = 2\n```", "x = 1\n\ny = 2\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```\n$ pip install x\n```", ""),
        ("```bash\nls\n```", ""),
        ("```python\n>>> x = 1\n>>> x\n1\n```", "x = 1\nx\n"),
        ("```python\nx = 1", "x = 1"),
        ("1. first\n\n   ```python\n   x = 1\n   ```", "x = 1\n"),
        ("no code, only `x = 1`", ""),
        ("<p>So:</p><pre><code>x = 1 &lt; 2\n</code></pre>", "x = 1 < 2\n"),
    ],
)
def test_the_program_of_an_answer(answer: str, code: str) -> None:
    assert program(answer) == code


def test_a_block_that_does_not_parse_is_left_out_of_the_program() -> None:
    assert program("```python\nx =\n```\n```python\ny = 2\n```") == "y = 2\n"


@pytest.mark.parametrize("block", ["return 1", "x = *y", "break"])
def test_a_block_that_does_not_compile_does_not_keep_the_others_from_running(block: str) -> None:
    assert runnable(f"```python\n{block}\n```\n```python\ny = 2\n```") == "y = 2\n"
    assert runnable(f"```python\n{block}\n```") == f"{block}\n", "its error tells why it does not run"


COUNT = "assert found({'a': 2, 'b': 1}, args=(words,))"


@pytest.mark.parametrize(
    ("code", "passed"),
    [
        ("from collections import Counter\nprint(Counter(words))", True),
        ("from collections import Counter\nprint(dict(Counter(words)))", True),
        ("def count(ws):\n    return {w: ws.count(w) for w in ws}", True),
        ("result = {w: words.count(w) for w in words}", True),
        ("print('Counts:', {w: words.count(w) for w in words})", True),
        ("print(words)", False),
        ("result = {w: 1 for w in words}", False),
        ("raise ValueError", False),
        ("", False),
        ("import sys\nsys.exit(0)", False),
        ("import os\nos._exit(0)", False),
    ],
)
def test_a_result_counts_however_it_is_shown(code: str, passed: bool) -> None:
    program = Program("p", "words = ['a', 'b', 'a']", code, COUNT)
    if "_exit" in code:
        with pytest.raises(AssertionError):
            run(program)
        return
    assert run(program)["passed"] is passed


def test_the_answer_cannot_pass_by_leaving_the_input_as_it_is() -> None:
    assert not run(Program("p", "words = [3, 1, 2]", "pass", "assert found([3, 1, 2])"))["passed"]
    assert run(Program("p", "words = [3, 1, 2]", "words.sort()", "assert found([1, 2, 3])"))["passed"]


def test_an_error_of_the_answer_is_told_from_a_failed_check() -> None:
    result = run(Program("p", "", "print('x')\n1 / 0", "assert found('long enough')"))
    assert (result["ran"], result["error"]) == (False, "ZeroDivisionError: division by zero")
    assert result["output"] == "x\n"


@pytest.mark.parametrize(
    ("output", "value", "is_shown"),
    [
        ("The sum is 28.", 28, True),
        ("Sum: 28.0", 28, True),
        ("[8, 28, 6]", 28, False),
        ("128", 28, False),
        ("There are 6 letters", 6, True),
        ("[3, 6]", 6, False),
        ("5,040", 5040, True),
        ("[36]\n[9, 36, 81]", [9, 36, 81], True),
        ("[36]", [9, 36, 81], False),
        ("squares = [9, 36, 81]", [9, 36, 81], True),
        ("Squares: [ 9 36 81]", [9, 36, 81], True),
        ("The list is [9, 36, 81].", [9, 36, 81], True),
        ("[[9, 36, 81]]", [9, 36, 81], False),
        ("Squares:\n9\n36\n81", [9, 36, 81], True),
        ("9\n36\n81\n100", [9, 36, 81], False),
        ("Square: 9\nSquare: 36\nSquare: 81", [9, 36, 81], True),
        ("Counter({'a': 3, 'b': 1})", {"b": 1, "a": 3}, True),
        ("Date: 25.11.2023", "25.11.2023", True),
        ("docs/notes.md.txt", "docs/notes.md", False),
    ],
)
def test_what_an_output_shows(output: str, value: object, is_shown: bool) -> None:
    program = Program("p", "", f"print({output!r})", f"assert printed({value!r})")
    assert run(program)["passed"] is is_shown
