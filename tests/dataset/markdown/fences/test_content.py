"""Test the names of blocks by their content: what is certain gets a name, what may be output or prose gets none."""

import time

import pytest

from tuning.dataset.markdown.fences.content import language_of

PYTHON = [
    "import os",
    "import numpy as np",
    "from shop import Cart",
    "def total(prices):\n    return sum(prices)",
    "class Cart:\n    ...",
    "for price in prices:\n    # add it up",
    "if price in (1, 2):",
    "elif price > 3:\n    stop()",
    "else:\n    stop()\nexcept KeyError:\n    pass",
    "@app.route('/')\ndef home():\n    return 'hi'",
    "        return self.prices[0]\n\n    def clear(self):\n        ...",
    "prices = [1, 2, 3]",
    "cart = {'apple': 1}\nname = 'Kim'",
    "cart.add('apple')",
    "print('a', end='')",
    "[price for price in prices if price]",
    "cart = Cart(\n    'Kim',\n)\ncart.save()",
    "sorted(prices)[0]",
    "self.count = 0",
    "count += 1",
    "with open('a') as file, open('b') as other:\n    pass",
    "cart = Cart(owner=<your name>,\n            limit=3)",
    "cart = {\n    'apple': 1,\n    ...\n}",
    "!pip install shop\nimport shop",
    'page = """\n<html>\n</html>\n"""',
    "def total(prices):\n    '''\n    >>> total([1])\n    1\n    '''",
    "name = \u2018Kim\u2019\u00a0+ last",
    "#!/usr/bin/env python3\nprint(1)",
    "price: int = 3",
    "async def main():\n    await asyncio.sleep(1)",
    "match price:\n    case 3:\n        stop()",
    "try:\n    pay()\nexcept* OSError:\n    stop()",
    "def total(prices)\n    return prices\n\nfor price in prices:\nprint(price)",
]
PYTHON_2 = [
    "print 'total', total",
    "for price in prices: print price",
    "print >>sys.stderr, 'no'",
    "try:\n    pay()\nexcept KeyError, error:\n    raise",
    "exec 'a = 1'",
    "raise KeyError, 'no'",
    "def total(prices):\n    print prices",
    "os.chmod('cart', 0777)",
    "os.umask(022)\nprint(1)",
    "os.makedirs(path, mode=0755)",
    "modes = {'cart': 0644}\nuse(modes)",
    "def total():\n    return 10L",
    "cart.limit(0xFFL)",
    "if a <> b:\n    pay()",
    "[price for price in prices if price <> 3]",
    "re.compile(ur'\\d+')",
    'name = UR"x"',
    "name = 'a' + `n`",
    "cart.add(`n`, 3)",
    "sorted(d.items(), key=lambda (k, v): v)",
    "total = lambda x, (a, b): a",
    "sorted(d, key=lambda ((a, b), c): c)",
    "def total((a, b)):\n    return a",
    "def total(self, (a, b), c=1): return a",
    'exec "a"',
    "exec code in scope",
    "print >>file, price",
    'raise KeyError, "no"',
    "except (KeyError, OSError), error:\n    pass",
    "try:\n    pay()\nexcept socket.error, (number, text):\n    pass",
    "a = 1; print a",
    "print {1: 2}",
]
# What looks like Python 2 in a string, in a comment, in a shell, or in Python 3.
NOT_PYTHON_2 = {
    "python": [
        "os.system('chmod 0777 a')",
        "cart.date = datetime(2019, 1, 5)\n# 0777, 10L",
        "print('a <> b')",
        'query = "select * from t where a <> b and `c` = 007"',
        "def total():\n    '''Print `x` as in print x, if a <> 3.'''",
        "```python\ndef total():\n    pass\n```",
        "total(0, 00, 0o777)",
        "total(lambda x=(1, 2): x)",
        "sorted(a, key=lambda x: (x, 1))",
        "def total(a, b=(1, 2)):\n    pass",
        "print (a)",
    ],
    "bash": ["chmod 0777 a", "mkdir -m 0755 a"],
    "sql": ["SELECT `a` FROM b WHERE c <> 007"],
    "": [
        "foo = bar <> baz",
        "a <> b",
        "if a <> b then c else d",
        "x = 10L",
        "mode = 0777",
        "x=`date`",
        "(10L, 'a', datetime.datetime(2012, 1, 1))",
        "[(1L, 2L)]",
        "2019-01-05, 01, 02",
    ],
}
OTHERS = {
    "pycon": [">>> 1 + 1\n2", "Python 3.12.1 (main)\n[GCC 11] on linux\n>>> x", "# in the shell\n>>> x = 1", ">>>x",
              "In [1]: 1 + 1\nOut[1]: 2", "Python 3.12.1\nIPython 8.1 -- hi\n\nIn [1]: x",
              "In [12]:\nimport cart"],
    "diff": [
        "--- a/cart.py\n+++ b/cart.py\n@@ -1 +1 @@\n-print 'a'\n+print('a')",
        "diff --git a/cart.py b/cart.py\nindex 1..2 100644",
        "@@ -1,2 +1,3 @@ def total():\n a\n+b",
        "*** cart.py\n--- new.py\n***************\n*** 1 ****",
        "-import cart\n+from shop import cart\n \n cart.pay()",
        "-print 'a'\n+print('a')",
    ],
    "pytb": [
        'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    from b import c\nImportError: c',
        '  File "a.py", line 1\n    print 1\n          ^\nSyntaxError: invalid syntax',
        "started\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nKeyError: 'a'",
        "---------\nKeyError     Traceback (most recent call last)\n<ipython-input-1> in <module>\n----> 1 a",
    ],
    "console": [
        "$ python cart.py\napple 1",
        "kim@shop:~/cart$ ls\ncart.py",
        "C:\\shop> python cart.py",
        "PS C:\\shop> py",
        "(venv) $ pip list",
    ],
    "bash": [
        "pip install shop",
        "sudo apt-get -y install shop\ncd shop && make",
        "export A=1\npython -m shop \\\n    --all",
        "#!/bin/sh\nshop",
        "# first\ngit clone https://shop.example/a.git",
    ],
    "json": ['{"apple": 1, "pear": [true, null]}', '[\n  {"apple": 1},\n  {"apple": 2}\n]'],
    "sql": ["SELECT name FROM carts WHERE price > 3", "select * from carts", "-- all\nINSERT INTO carts VALUES (1)"],
    "html": ["<div class='a'>b</div>", "<!DOCTYPE html>\n<html></html>", "<!-- a -->\n<p>{{ name }}</p>"],
    "xml": ['<?xml version="1.0"?>\n<cart>', "<cart>\n  <apple price='1'/>\n</cart>"],
    "yaml": ["name: shop\ndependencies:\n  - pip\n  - python=3.9", "a:\n  b: 1\nc: |\n  any text, here"],
    "ini": ["[shop]\nname = Kim\n; more\nlimit=3\n", "[a]\nb: c"],
    "toml": ['[tool.shop]\nname = "Kim"', '[a]\nb = "c"'],
    "dockerfile": ["FROM python:3.12\nRUN pip install shop"],
}  # fmt: skip
# What a program prints, what a person writes, what is mixed, and what belongs to languages that are not looked for.
TEXTS = [
    "",
    "1",
    "1 2 3",
    "foo bar",
    "apple",
    "apple is not pear",
    "['a', 'b']",
    "[1, 2]\n[3, 4]",
    "{'a': 1}",
    "('a', 1)",
    "[1, 2][3, 4]",
    "['a'] ['b']",
    "a = 1",
    "a = 1\nb = 2.5",
    "a = b",
    "name: Kim",
    "name: Kim\nage: 3",
    "array([1, 2])",
    "Point(x=1, y=2)",
    "OrderedDict([('a', 1)])",
    "datetime.date(2020, 1, 1)",
    "True",
    "shop.cart.Cart",
    "cart/apple.py",
    "apple - pear",
    "KeyError: 'a'",
    "* apple\n* pear",
    "[1, 2, 3]\n# all of them",
    "import java.util.List;",
    "def total(prices)\n  prices.sum\nend",
    "int total = 3;\nfor (int i = 0; i < 3; i++) {\n}",
    "x = total(3);",
    "public class Cart {\n}",
    "cdef int total(int a):\n    return a",
    "import Data.List as L",
    "a <- read.csv('b')",
    "a.forEach(b => c(b))",
    "if (a == b) {\n  c(a)\n}",
    "LIMIT='3'\nOWNER='Kim'",
    "select the first of the rows from the table",
    "find the index of it",
    "make the list",
    "cat and dog",
    "def total(prices):\n    return 1\n\nTraceback (most recent call last):\n  File \"a.py\"\nKeyError: 'a'",
    "print(total)\n>>> 3",
    "Out[1]: 2",
    "In [the list]: a",
    "- apple\n+ pear",
    "+ 1 apple\n- 2 pears",
    "--- section 1 ---\na,b",
    "-1\n+1",
    '{"apple": 1,}',
    "[1, 2, 3]",
    '["a", "b"]',
    "{}",
    "<module 'shop'>",
    "<function total at 0x7f>",
    "a < b > c",
    "$5 or $6",
    "$ Step 1: done",
    "apple\npear = (",
    "#!/usr/bin/expect\nspawn shop",
    "{% for a in b %}\n{% endfor %}",
    "Shop:\n  apple, pear:\n",
    "while it is raining:\n    stay at home",
    "with great power comes great responsibility",
]


@pytest.mark.parametrize("code", PYTHON)
def test_python(code: str) -> None:
    assert language_of(code) == "python"


@pytest.mark.parametrize("code", PYTHON_2)
def test_code_that_python_3_rejects_is_python_2(code: str) -> None:
    assert language_of(code) == "python2"


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, codes in NOT_PYTHON_2.items() for code in codes])
def test_what_only_looks_like_python_2_is_not(name: str, code: str) -> None:
    assert language_of(code) == name


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, codes in OTHERS.items() for code in codes])
def test_other_languages(name: str, code: str) -> None:
    assert language_of(code) == name


@pytest.mark.parametrize("code", TEXTS)
def test_what_is_not_certain_has_no_name(code: str) -> None:
    assert language_of(code) == ""


@pytest.mark.parametrize(
    "unit",
    [
        "(", "[", "{", "-", "not ", "a.", "a if b else ", "lambda:", "x=", '"""\\', "\\\"", "'", "- ", "a: ",
        "def f(:#", "except ", "raise ", "# ", "#\n", "A=1 #", ">>> ", ">>>\n", '  File "x", line 1\n', "pip ", "<a>",
        "Traceback (most recent call last)\n", "<!-- -->",
        "SELECT a FROM ", "--\n", "[a]=", '{"a":', "if a:\n ", "$ ", "C:\\",
        "kim@shop:", "\u200b", "+", "-a=1\n+a=2\n", "def f((", "lambda a, (", "lambda (", "f(00", "`a", "if a <> ",
        "ur'", "0L,", "def f(a,", "In [1]:\n",
        "\u2019",
    ],
)  # fmt: skip
def test_a_hostile_block_costs_little(unit: str) -> None:
    for start in ("", "x = ", "if a:\n", "[", "<a>"):
        for length in (1_900, 100_000):
            block = start + unit * (length // len(unit))
            begin = time.process_time()
            language_of(block)
            assert time.process_time() - begin < 1, (start, length)
