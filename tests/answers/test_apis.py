"""Names of library functions, classes and methods: those that exist, and those that a model made up."""

import subprocess
import sys

import pytest

from tuning.answers.apis import known_names
from tuning.answers.code import program
from tuning.answers.suite import DEVELOPMENT, JUDGING, find_suite
from tuning.settings import PROJECT_ROOT
from tuning.sources.sample.rows import posts

ATTRIBUTES_OF_A_FRAME = """
import pandas as pd
df = pd.DataFrame({"name": ["a"], "total": [1]})
print(df.total.sum(), df.groupby("name").total.mean())
"""
OWN_CLASS = """
class Shop:
    def __init__(self, rows):
        self.rows = rows

    def cheapest(self):
        return min(self.rows)

print(Shop([3, 1]).cheapest(), Shop([2]).rows)
"""
NAMED_TUPLE = """
from collections import namedtuple
Point = namedtuple("Point", "left, top")
print(Point(1, 2).left + Point(1, 2).top)
"""


@pytest.mark.parametrize(
    ("code", "exist", "missing"),
    [
        ("import os\nos.path.joinn('a')", ["os"], ["os.path.joinn"]),
        ("import itertools\nitertools.pairwise('ab')", ["itertools", "itertools.pairwise"], []),
        ("from itertools import pairwise, pairs", ["itertools", "itertools.pairwise"], ["itertools.pairs"]),
        ("from itertools import *", ["itertools"], []),
        ("import itertools as it\nit.chain.from_iterable([])", ["itertools", "itertools.chain.from_iterable"], []),
        ("import jsonn.tool\nimport json.tools", [], ["json.tools"]),
        ("import os.path\nos.getcwd()", ["os.path", "os.getcwd"], []),
        ("x = [1]\nx.push(2)", [], [".push"]),
        ("x = [1]\nx.append(2)\nx.append(3)", [".append"], []),
        ("'a b'.reverse_words()", [], [".reverse_words"]),
        (
            "import pandas as pd\npd.read_csvx('a')\ndf = pd.DataFrame()\ndf.groupbyy('a').mean()",
            ["pandas", "pandas.DataFrame", ".mean"],
            ["pandas.read_csvx", ".groupbyy"],
        ),
        (
            "import datetime\nd = datetime.datetime.now()\nd.to_epoch()\nd.year",
            ["datetime", "datetime.datetime.now", ".year"],
            [".to_epoch"],
        ),
        (
            "import numpy as np\na = np.array([1])\na.flatten()\na.flat_map()",
            ["numpy", "numpy.array", ".flatten"],
            [".flat_map"],
        ),
        ("import re\nre.match('a', 'b').group().foo", ["re", "re.match", ".group"], [".foo"]),
        ("import logging\nlogging.getLogger().handlers", ["logging", "logging.getLogger", ".handlers"], []),
        ("print(len('a'))", [], []),
        ("", [], []),
    ],
)
def test_names_that_exist_and_names_that_do_not(code: str, exist: list[str], missing: list[str]) -> None:
    assert known_names(code) == (exist, missing)


@pytest.mark.parametrize("code", [ATTRIBUTES_OF_A_FRAME, OWN_CLASS, NAMED_TUPLE])
def test_what_the_code_itself_defines_exists(code: str) -> None:
    assert known_names(code)[1] == []


@pytest.mark.parametrize(
    "code",
    [
        "import tensorflow\ntensorflow.x.y\nz.foo()",
        "from shop.models import Order\nOrder.cheapest().first()",
        "from . import shop\nshop.cheapest()",
        "import turtle\nturtle.forwards(1)",
    ],
)
def test_nothing_is_said_about_a_library_that_is_not_installed(code: str) -> None:
    assert known_names(code) == ([], [])


def test_a_library_that_is_not_installed_does_not_hide_a_wrong_name_of_one_that_is() -> None:
    assert known_names("import os, tensorflow\nos.joinn()\ntensorflow.a().b()") == (["os"], ["os.joinn"])


def test_code_that_is_not_python_is_an_error() -> None:
    with pytest.raises(SyntaxError):
        known_names("print 1")


def test_there_is_no_false_alarm_in_any_reference_answer_of_the_suites_and_the_sample() -> None:
    questions = [question for suite in (JUDGING, DEVELOPMENT) for question in find_suite(suite).questions]
    codes = {question.topic: f"{question.setup}\n{program(question.reference)}" for question in questions}
    codes |= {post.topic: program(post.answer) for post in posts()}
    assert len(codes) == len(questions) + 250 == 394
    assert {name: missing for name, code in codes.items() if (missing := known_names(code)[1])} == {}


def test_modules_that_do_something_when_they_are_imported_are_never_imported() -> None:
    code = """
import sys
from tuning.answers.apis import known_names
print(known_names("import antigravity, this, idlelib.idle, turtledemo\\nimport antigravity as a\\na.geohash"))
print(known_names("from antigravity import geohash\\nfrom test import regrtest\\nimport __main__"))
print([name for name in ("antigravity", "this", "idlelib", "turtledemo", "test", "turtle") if name in sys.modules])
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.splitlines() == ["([], [])", "([], [])", "[]"]


@pytest.mark.parametrize("code", ["x = " + "+".join(["a"] * 600), "x = a" + ".head()" * 400, "x = " + "-" * 900 + "1"])
def test_an_answer_that_repeats_itself_in_one_expression_is_read(code: str) -> None:
    assert known_names(code)[0] in ([], [".head"])


@pytest.mark.parametrize("code", ["import unittest.__main__", "from unittest import __main__"])
def test_the_main_module_of_a_package_is_not_run(code: str) -> None:
    assert "unittest.__main__" not in known_names(code)[1]


@pytest.mark.parametrize(
    "code",
    ["def year(day):\n    return day.strftime('%Y')", "def seconds(span):\n    return span.total_seconds()"],
)
def test_methods_of_values_that_a_function_is_given_exist(code: str) -> None:
    assert known_names(code)[1] == []
