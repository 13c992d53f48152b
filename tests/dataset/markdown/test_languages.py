"""Test the names of fences in the Markdown of a post: by the author's hint, corrected by the content."""

import json
from pathlib import Path

import pytest

from tests.dataset.markdown.measure_fences import LABELS, measure, names_of
from tuning.dataset.markdown.convert import to_markdown

TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in &lt;module&gt;\nKeyError: 1'


def fence(html: str) -> str:
    """Return the info string of the only fence."""
    markdown = to_markdown(html, "https://stackoverflow.com")
    assert isinstance(markdown, str)
    (line,) = [line for line in markdown.split("\n") if line.startswith("```") and line != "```"] or ["```"]
    return line[3:]


@pytest.mark.parametrize(
    ("hint", "code", "name"),
    [
        ("", "import os", "python"),
        ("", "a &lt;b&gt; c", ""),
        ("", 'x = "&lt;p&gt;" + total(&quot;a&quot;)', "python"),
        ("lang-py", "['a', 'b']", "python"),  # the author says so
        ("lang-python2", "total(1)", "python2"),
        ("lang-py", "print 'a'", "python2"),
        ("lang-py", "&gt;&gt;&gt; 1\n1", "pycon"),
        ("lang-py", "$ pip install shop", "console"),
        ("lang-py", "SELECT a FROM shop WHERE b = 1", "sql"),
        ("lang-py", "&lt;div&gt;a&lt;/div&gt;", "html"),
        ("lang-html", "import os", "python"),  # the site's editor for snippets marks all as HTML
        ("snippet-code-html lang-html", "a = total(1)", "python"),
        ("lang-html", TRACEBACK, "pytb"),
        ("lang-html", "KeyError: 1", ""),
        ("lang-html", "&lt;shop&gt;", "html"),
        ("lang-html", '{"a": 1}', "json"),
        ("lang-js", "def total(a):\n    return a", "python"),
        ("lang-js", "total(a)", "javascript"),
        ("lang-rb", "total(a)", "ruby"),
        ("lang-cython", "import os", "cython"),
        ("lang-sh", "pip install shop", "bash"),
        ("lang-sh", TRACEBACK, "pytb"),
        ("lang-sh", "import sys\nprint(sys.argv)", "python"),
        ("lang-bash", 'name = "Kim"', "bash"),
        ("lang-sql", "rows = spark.sql('select a from shop')", "python"),
        ("lang-sql", "CALL total(1)", "sql"),
        ("lang-none", "import os", ""),  # the author asks for no language
        ("lang-none", TRACEBACK, "pytb"),
    ],
)
def test_a_hint_counts_unless_the_content_certainly_differs(hint: str, code: str, name: str) -> None:
    assert fence(f'<pre class="{hint} prettyprint-override"><code>{code}\n</code></pre>') == name


def test_a_comment_for_the_whole_post_names_only_what_the_content_leaves_open() -> None:
    default = "<!-- language-all: lang-r -->\n"
    assert fence(default + "<pre><code>mean(a)</code></pre>") == "python"  # as certain as Python in any post
    assert fence(default + "<pre><code>a &lt;- 1</code></pre>") == "r"
    assert fence(default + "<!-- language: lang-none -->\n<pre><code>a b</code></pre>") == ""


def test_blocks_of_unusual_html_are_named() -> None:
    assert fence("<pre>import os\nos.getcwd()</pre>") == "python"
    assert fence("<pre><code><span class='k'>import</span> os</code></pre>") == "python"
    assert fence("<ul><li>a<pre><code>import os</code></pre></li></ul>").strip() == ""  # indented: see below
    assert "  ```python\n" in str(to_markdown("<ul><li>a<pre><code>import os</code></pre></li></ul>", "https://a.b"))


def test_labelled_blocks_of_real_posts_are_named_right(real_data: Path) -> None:
    if not LABELS.exists():
        pytest.skip(f"no labels in {LABELS}")
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    (_, _, _, precision, recall), *_ = measure(labels, names_of(real_data, frozenset(labels)))
    assert precision >= 0.98
    assert recall >= 0.85


def test_the_measure_counts_each_block_once() -> None:
    labels = {"a": "python", "b": "text", "c": "console", "d": "other:js", "e": "traceback"}
    names = {"a": "python2", "b": "python", "c": "bash", "d": "javascript", "e": "text"}
    rows = {row[0]: row[1:] for row in measure(labels, names)}
    assert rows["all"] == (4, 4, 0.75, 0.75)
    assert rows["python"] == (1, 2, 0.5, 1.0)
    assert rows["console"] == (1, 1, 1.0, 1.0)
