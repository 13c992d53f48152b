"""Test that the Markdown of a body renders to the same code, links, lists and prose."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import py7zr
import pytest
from lxml import etree

from tests.dataset.reading import differences
from tuning.dataset.filters import Reason
from tuning.dataset.markdown.check import looks_same, render, says_same
from tuning.dataset.markdown.convert import Converted, Dropped, convert, to_markdown
from tuning.dataset.markdown.tree import parse

SITE = "https://stackoverflow.com"


def markdown(html: str) -> str:
    converted = to_markdown(html, SITE)
    assert isinstance(converted, str), converted
    return converted


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        # Code
        (
            '<pre class="lang-py prettyprint-override"><code>x = "&lt;b&gt;"\n\n  y\n</code></pre>',
            '```python\nx = "<b>"\n\n  y\n```',
        ),
        ("<!-- language: lang-cpp -->\n\n<pre><code>int x;\n</code></pre>", "```cpp\nint x;\n```"),
        ("<!-- language-all: lang-js --><p>a</p><pre><code>b</code></pre>", "a\n\n```javascript\nb\n```"),
        ('<pre class="lang-none prettyprint-override"><code>x</code></pre>', "```\nx\n```"),
        (
            '<pre class="lang-py s-code-block"><code class="hljs language-python">'
            '<span class="hljs-keyword">import</span> os\n'
            "</code></pre>",
            "```python\nimport os\n```",
        ),
        (
            '<div class="snippet" data-lang="js"><div class="snippet-code">'
            '<pre class="snippet-code-js lang-js prettyprint-override"><code>a()</code></pre></div></div>',
            "```javascript\na()\n```",
        ),
        ("<pre><code>```\nx\n````\n</code></pre>", "`````\n```\nx\n````\n`````"),
        ("<pre>no code &lt;b&gt;</pre>", "```\nno code <b>\n```"),
        (
            "<p>a <code>`x`</code> <code>``</code> <code> y </code> <code>a  b</code></p>",
            "a `` `x` `` ` `` ` `  y  ` `a  b`",
        ),
        ("<p><code>&amp;lt;</code> and <code>&lt;/code&gt;</code></p>", "`&lt;` and `</code>`"),
        # Prose: entities once, and a backslash only where it is needed
        ("<p>List&lt;T&gt; a &lt; b &amp;amp; &mdash;</p>", "List\\<T> a < b \\&amp; —"),
        ("<p>snake_case, 2 * 3, a * b, C:\\dir, [1] and x_1</p>", "snake_case, 2 * 3, a * b, C:\\dir, [1] and x_1"),
        ("<p>__init__ and f(*args, **kw)</p>", "\\_\\_init\\_\\_ and f(\\*args, \\*\\*kw)"),
        ("<p>1. no list</p><p># no heading</p><p>- no item</p>", "1\\. no list\n\n\\# no heading\n\n\\- no item"),
        ("<p>a<br>- b<br>1. c</p>", "a  \n\\- b  \n1\\. c"),
        ("<p>[x](y) &lt;!-- c --&gt; ends in \\</p>", "[x\\](y) \\<!-- c --> ends in \\\\"),
        # Inline
        ("<p>a<strong>b</strong>c <strong>b.</strong>c</p>", "a**b**c <strong>b.</strong>c"),
        ("<p>x&nbsp;y&nbsp;</p>", "x\xa0y"),
        ("<p>Math <span class=\"math-container\">$a_b * c_d$</span></p>", "Math $a_b * c_d$"),
        # Links and images
        (
            '<p><a href="/q/1" title="a &quot;t&quot;">x_y</a> <a href="#f">f</a></p>',
            f'[x_y]({SITE}/q/1 "a \\"t\\"") [f]({SITE}/#f)',
        ),
        ('<p><a href="http://a.b/c_(d)" rel="nofollow noreferrer">z</a></p>', "[z](http://a.b/c_(d))"),
        ('<p><a href="http://a.b">http://a.b</a></p>', "<http://a.b>"),
        ('<p>Wow!<a href="http://a.b">x</a></p>', "Wow\\![x](http://a.b)"),
        (
            '<p><a href="http://a.b"><img src="//i.c/x.png" alt="a [b]"></a></p>',
            "[![a [b]](https://i.c/x.png)](http://a.b)",
        ),
        # Blocks
        ("<ul><li>a\n<ul><li>b</li></ul></li></ul><ul><li>c</li></ul>", "- a\n  - b\n\n* c"),
        ('<ol start="3"><li>x</li></ol>', "3. x"),
        ('<ol start="\u00b2"><li>x</li></ol>', "1. x"),
        ('<ol start="1_0"><li>x</li></ol>', "1. x"),
        ("<blockquote><p>a</p><pre><code>x</code></pre></blockquote>", "> a\n>\n> ```\n> x\n> ```"),
        (
            "<table><thead><tr><th>a</th><th style=\"text-align: right;\">b</th></tr></thead>"
            "<tbody><tr><td>x | y<br>z</td><td><code>a|b</code></td></tr></tbody></table>",
            "| a | b |\n| --- | ---: |\n| x \\| y<br>z | `a\\|b` |",
        ),
    ],
)  # fmt: skip
def test_a_body_becomes_this_markdown(html: str, expected: str) -> None:
    assert markdown(html) == expected
    assert differences(html, expected, SITE) == {}


@pytest.mark.parametrize(
    "html",
    [
        "<ul>\n<li>a\n\n<ol>\n<li>b\n<pre><code>x\n\n  y\n</code></pre></li></ol></li>\n<li><p>c</p><p>d</p></li></ul>",
        "<ol><li>a<pre><code>x</code></pre>b</li><li><h3>h</h3>c<blockquote><p>q</p></blockquote></li><li></li></ol>",
        "<ol><li>a</li></ol><ol start='7'><li>b</li></ol><ul><li>c</li></ul><ul><li>d</li></ul>",
        '<blockquote class="spoiler"><p>a</p><blockquote><p>deep</p></blockquote></blockquote><hr>',
        "<h2>H <code>c</code> #</h2><h1>a<br>b</h1><h3>x #tag ##</h3>",
        "<p><strong><em>x</em></strong> <em><strong>y</strong> z</em></p>",
        "<p><em>a</em><em>b</em> un<em>frigging</em>believable</p>",
        '<p><strong>a <strong>b</strong></strong> <em>a*b</em> (<strong>"q"</strong>)</p>',
        "<p>日本語<strong>「強調」</strong>です</p>",
        "<p>a<br><br>b<br> <br>c</p><p><br></p><p>x<br></p>",
        "<dl><dt>t</dt><dd>d <code>c</code></dd></dl><p>after</p>",
        "<table><tr><td>1</td><td>2</td></tr><tr><td colspan=\"2\">3</td></tr></table>",
        "<p>|a|b|<br>|---|---|<br>|1|2|</p>",
        "<p>[foo]: http://bar \"x\"</p><p>see [foo] and [1]: y</p>",
        '<p><code>see <a href="http://x.y/z">f</a>(a)</code></p>',
        "<p>*</p><p>***</p><p>===</p><p>&gt; q</p><p>~~~</p><p>2019. A year</p>",
        '<p><a href="http://a/x)y">]</a> <a href="http://a/b c">[z]</a></p>',
        '<p><a href="https://a/b%20c">https://a/b%20c</a></p>',
        "<p>line<br />&nbsp;&nbsp;indented</p><p>&nbsp;</p>",
        "text without a paragraph<pre><code>z</code></pre>tail <em>x</em>",
        "<p>C:\\new\\* \\\\server</p>",
        "<A HREF='/q/2'>y</A>",
    ],
)  # fmt: skip
def test_a_hard_body_comes_back(html: str) -> None:
    assert differences(html, markdown(html), SITE) == {}


def test_what_markdown_cannot_say_is_dropped() -> None:
    assert to_markdown("<div>" * 20_000 + "lost" + "</div>" * 20_000, SITE) == Dropped(Reason.UNFAITHFUL)
    assert to_markdown("<p>bell \x07</p>", SITE) == Dropped(Reason.CONTROL_CHARACTERS)


def test_a_delete_character_is_replaced_and_counted() -> None:
    result = convert("<p>press \x7f or <code>\x7f</code></p>", SITE)
    assert result == Converted("press \ufffd or `\ufffd`", Counter({"replaced control character": 2}))


@pytest.mark.parametrize(
    "reference",
    [
        "&#11;",
        "&#x0B;",
        "&#0;",
        "&#12;",
        "&#127;",
        "&#xD83D;",
        "&#xFDD0;",
        "&#xFFFE;",
        "&#x110000;",
        f"&#{'9' * 5_000};",
    ],
)
def test_a_reference_to_a_forbidden_character_is_replaced_and_counted(reference: str) -> None:
    html = f'<p>press {reference} or <code>{reference}</code>, <a href="/a{reference}">b</a></p>'
    expected = f"press \ufffd or `\ufffd`, [b]({SITE}/a%EF%BF%BD)"
    assert convert(html, SITE) == Converted(expected, Counter({"replaced control character": 3}))


def test_a_reference_to_any_other_character_is_that_character() -> None:
    html = "<p>a&#9;b &#39;&#x27;&#112;&#128;&#xFFFD;&#128516; <code>&amp;#11; &amp;amp;#11;</code> &amp;#11;</p>"
    result = convert(html, SITE)
    assert isinstance(result, Converted)
    assert not result.changes
    assert "''p€\ufffd😄 `&#11; &amp;#11;` " in result.markdown


def test_an_empty_body_is_empty() -> None:
    assert to_markdown("", SITE) == ""
    assert to_markdown("<p> </p>\n", SITE) == ""


@pytest.mark.parametrize(
    "mangled",
    [
        "one *two* `f(x)`\n\n```\nx = 1\n```",  # one empty line less in code
        "one *two* `f(x)`\n\n```\nx = 1\n\n y\n```",  # indentation
        "one *two* `f( x)`\n\n```\nx = 1\n\n  y\n```",  # inline code
        "one two `f(x)`\n\n```\nx = 1\n\n  y\n```",  # emphasis
        "one *two*`f(x)`\n\n```\nx = 1\n\n  y\n```",  # the space before code
        "one *two* `f(x)` more\n\n```\nx = 1\n\n  y\n```",  # one more word
        "- one *two* `f(x)`\n\n```\nx = 1\n\n  y\n```",  # a list
        "one\n\n*two* `f(x)`\n\n```\nx = 1\n\n  y\n```",  # another paragraph
    ],
)
def test_the_check_sees_any_mangled_text(mangled: str) -> None:
    html = "<p>one <em>two</em> <code>f(x)</code></p>\n\n<pre><code>x = 1\n\n  y\n</code></pre>"
    right = "one *two* `f(x)`\n\n```\nx = 1\n\n  y\n```"
    assert looks_same(html, render(right))
    assert says_same(parse(html), parse(render(right)), SITE)
    assert not looks_same(html, render(mangled))
    assert not says_same(parse(html), parse(render(mangled)), SITE)


def bodies(archive: Path, folder: Path) -> Iterator[str]:
    with py7zr.SevenZipFile(archive) as packed:
        packed.extract(path=folder, targets=["Posts.xml"])
    for _, row in etree.iterparse(str(folder / "Posts.xml"), tag="row"):
        if row.get("PostTypeId") in ("1", "2"):
            yield row.get("Body") or ""
        row.clear()


# What Markdown cannot say as HTML does: elements that become others, and nesting that browsers repair.
UNUSUAL = re.compile(
    r"</?(?:s|strike|del|kbd|details)\b|<su[bp]>\s*<|<ol>\s*\*|<code>[^<]*(?:<(?!/code)[^<]*)*<(?:br|pre)|<code>\s*<pre",
    re.I,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("archive", "every"), [("stackoverflow-python-bodies.7z", 4), ("cardano.stackexchange.com.7z", 1)]
)
def test_every_body_of_real_dumps_comes_back(real_data: Path, tmp_path: Path, archive: str, every: int) -> None:
    """The program `clean_bench.py` tests all of them."""
    chosen = [body for number, body in enumerate(bodies(real_data / archive, tmp_path)) if number % every == 0]
    texts = [(body, to_markdown(body, SITE)) for body in chosen]
    assert [body for body, text in texts if isinstance(text, Dropped)] == []
    usual = [(body, str(text)) for body, text in texts if not UNUSUAL.search(body)]
    assert len(usual) >= 0.99 * len(chosen)
    assert [found for body, text in usual if (found := differences(body, text, SITE))] == []
