"""Test what becomes of elements that Markdown lacks: struck text, superscripts, keys, line breaks, details."""

import pytest

from tuning.dataset.markdown.convert import Converted, convert

SITE = "https://stackoverflow.com"


def markdown(html: str) -> str:
    converted = convert(html, SITE, boilerplate=True)
    assert isinstance(converted, Converted), converted
    return converted.markdown


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p><s>Use <code>f(x)</code>.</s> Do <strike>a</strike> <DEL>b</DEL></p>", "~~Use `f(x)`.~~ Do ~~a~~ ~~b~~"),
        ("<p>un<s>frig</s>ing <s>x.</s>y</p>", "un~~frig~~ing <del>x.</del>y"),
        ("<p><s>a <s>b</s> c</s> x<s></s>y <s> </s>z</p>", "~~a b c~~ xy z"),
        ("<p><s> a </s>b <s>c</s><s>d</s></p>", "~~a~~ b ~~cd~~"),
        (
            "<p><strong><s>a</s></strong> <s><em>b</em> <a href='https://x.y'>c</a></s></p>",
            "**~~a~~** ~~*b* [c](https://x.y)~~",
        ),
        ("<s><p>a</p>\n<p>b</p></s><p>c</p>", "~~a~~\n\n~~b~~\n\nc"),
        ("<p><s>a</p>\n<p>b</s> c</p>", "~~a~~\n\n~~b~~ c"),
        ("<p><s>no end</p><p>b</p>", "~~no end~~\n\nb"),
        ("<p><em>a <s>b</em> c</s> d</p>", "*a ~~b~~* ~~c~~ d"),
        ("<p><s>a<br>b<br></s>c</p>", "~~a~~  \n~~b~~  \nc"),
        ("<ul><s><li>a</li><li>b</li></s></ul>", "- ~~a~~\n- ~~b~~"),
        ("<s><h2>t</h2><pre><code>x = 1\n</code></pre></s>", "## ~~t~~\n\n<del>\n\n```\nx = 1\n```\n\n</del>"),
        ("<blockquote><p><s>a</s></p></blockquote>", "> ~~a~~"),
        ("<p>~~no~~ ~/x ~y~ about ~5</p>", "\\~\\~no\\~\\~ ~/x ~y\\~ about ~5"),
    ],
)
def test_struck_text_stands_between_tildes(html: str, expected: str) -> None:
    assert markdown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            "x<sup>2</sup> + 10<sup>-6</sup>, 2<sup>n</sup>, 2<sup>k</sup>, e<sup>-x/2</sup>",
            "x² + 10⁻⁶, 2ⁿ, 2^k, e^(-x/2)",
        ),
        ("H<sub>2</sub>O, x<sub>i</sub>, x<sub>max</sub>, x<sub>i,j</sub>", "H₂O, xᵢ, x_max, x_(i,j)"),
        (
            "2<sup>2<sup>n</sup></sup> <code>f</code><sup>1</sup> word<sup>*</sup> A<sup><em>T</em></sup>",
            "2^(2ⁿ) `f`¹ word* A^T",
        ),
        (
            "x<sub>max</sub>y, x<sup>10a</sup>b, A<sup>T</sup>A, f<sub>max</sub>(z), 2<sup>10</sup>x",
            "x_(max)y, x^(10a)b, A^(T)A, f_max(z), 2¹⁰x",
        ),
        ("the 4<sup>th</sup> of Py<sup>TM</sup> <sup>(small <em>print</em>)</sup>", "the 4th of Py™ (small *print*)"),
        ("see<sup><a href='https://x.y'>[1]</a></sup>", "see[\\[1\\]](https://x.y)"),
        ("<kbd>Ctrl</kbd>+<kbd>C</kbd>, <kbd>A</kbd><kbd>B</kbd>, <kbd>`</kbd>", "`Ctrl`+`C`, `A` `B`, `` ` ``"),
        ("<kbd><a href='https://x.y'>go</a></kbd> <small>a</small><u>b</u> <q>c</q>", "[go](https://x.y) ab “c”"),
        ("2<sup><code>n</code></sup>, x<sub><code>i</code></sub> <sup><code>1</code></sup>", "2^`n`, x_`i` `1`"),
        ("a<br>b<br/><br>c", "a  \nb\n\nc"),
        ("<em>a<br><br>b</em>", "*a  \nb*"),
        ("&nbsp; a&nbsp;b &nbsp;<br>&nbsp; &nbsp;c <br>d&nbsp;", "a\xa0b  \nc  \nd"),
    ],
)
def test_inline_elements_become_characters_or_markdown(html: str, expected: str) -> None:
    assert markdown(f"<p>{html}</p>") == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<details><summary>More</summary><p>a</p><pre><code>x</code></pre></details>", "**More**\n\na\n\n```\nx\n```"),
        ("<details><summary><h3>t</h3></summary>a</details>", "### t\n\na"),
        ("<p>&nbsp;</p><p>a</p><p> &nbsp; </p><ul><li>&nbsp;b&nbsp;</li></ul>&nbsp;<p>c</p>", "a\n\n- b\n\nc"),
        ("<p>a&nbsp;</p><pre><code>x  &nbsp;\ny</code></pre>", "a\n\n```\nx   \ny\n```"),
        ("<ul><li>a<br><br>b</li></ul><h2>x<br>y</h2>", "- a  \n  b\n\n## x y"),
        ("<p><code>a<br>  b</code></p>", "```\na\n  b\n```"),
        ("<p>run <code>a<br>  b</code> now</p>", "run `a`  \n`  b` now"),
        (
            "<p><code>see <a href='https://x.y'>f</a>(<b>a</b>)</code> <code>c</code><code>d</code></p>",
            "`see `[`f`](https://x.y)`(`**`a`**`)` `cd`",
        ),
        (
            "<a href='https://x.y'><h1>Demo</h1></a><strong><p>a</p><p>b</p></strong>",
            "# [Demo](https://x.y)\n\n**a**\n\n**b**",
        ),
        ("<p>x <code><pre>a\n  b</pre></code></p><h1></h1><h2> </h2><p>y</p>", "x\n\n```\na\n  b\n```\n\ny"),
        ("<ol>\n* a\n</ol>", "\\* a"),
    ],
)
def test_no_post_is_lost_to_an_unusual_nesting(html: str, expected: str) -> None:
    assert markdown(html) == expected


def test_a_link_in_a_code_block_becomes_text_and_is_counted() -> None:
    converted = convert("<pre><code>a <a href='https://x.y'>link</a>\n</code></pre>", SITE)
    assert isinstance(converted, Converted)
    assert converted.markdown == "```\na link\n```"
    assert converted.changes == {"removed code link": 1}


def test_no_element_without_a_markdown_form_is_left() -> None:
    tags = [
        "s",
        "strike",
        "del",
        "sup",
        "sub",
        "kbd",
        "samp",
        "tt",
        "ins",
        "u",
        "small",
        "mark",
        "abbr",
        "q",
        "details",
    ]
    html = "".join(f"<p>a <{tag}>b c</{tag}> d</p>" for tag in tags)
    assert "<" not in markdown(html)
