"""Any HTML or text is converted, searched and redacted without an error, and code keeps its text."""

import html as html_module
import re
from collections import Counter

from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.properties.any_text import any_text, short_text
from tuning.dataset.boilerplate.find import find_boilerplate, without
from tuning.dataset.filters import has_control_characters
from tuning.dataset.markdown.code_characters import with_readable_code
from tuning.dataset.markdown.convert import Converted, convert, convert_all
from tuning.dataset.markdown.elements import simplify
from tuning.dataset.redact.redact import find_secrets, find_secrets_in_html, redact

SITE = "https://stackoverflow.com"
TAGS = (
    *("p", "div", "span", "br", "hr", "img", "a", "em", "strong", "b", "i", "s", "del", "kbd", "sup", "code", "pre"),
    *("ul", "ol", "li", "dl", "dt", "dd", "blockquote", "h1", "h3", "table", "thead", "tr", "td", "th", "script", "x"),
)
ATTRIBUTES = (
    *("", ' href="/q/1"', ' href="https://a.example/b c"', ' href="http://[::1"', ' href="javascript:x"', " href"),
    *(' src="//i.example/x.png" alt="a ] b"', ' class="lang-py"', ' class="snippet-code-js lang-js"', " start='7'"),
    *(' title="&quot;a&quot;"', ' data-x="&lt;"', " a=b", ' class="s-table" style="x"'),
)
PHRASES = (
    *("Hi all,", "Thanks in advance!", "Hope this helps.", "EDIT:", "Update 2: ", "Regards, Ann", "Thank you", "hİ"),
    *("I use Python 3.", "snake_case and *stars*", "1. not a list", "# no heading", "> no quotation", "| a | b |"),
    *("a@b.example", "joe.doe@gmail.com", "password = 'hunter22x'", "/home/joe/x.py", "C:\\Users\\joe\\x", "8.8.8.8"),
    *("AKIAIOSFODNN7EXAMPLQ", "https://u:Secret99x@host.example/", "+49 170 1234567", "\\$5", "$x^2$", "$$y$$"),
)
texts = st.one_of(short_text, st.sampled_from(PHRASES), short_text.map(html_module.escape))
opening = st.builds("<{}{}>".format, st.sampled_from(TAGS), st.sampled_from(ATTRIBUTES))
closing = st.sampled_from(TAGS).map("</{}>".format)
loose = st.lists(st.one_of(texts, opening, closing), max_size=12).map("".join)
nested = st.recursive(
    texts,
    lambda inner: st.builds(
        lambda tag, attributes, parts: f"<{tag}{attributes}>{''.join(parts)}</{tag}>",
        st.sampled_from(TAGS),
        st.sampled_from(ATTRIBUTES),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)
htmls = st.one_of(loose, nested, st.lists(nested, max_size=5).map("\n".join), any_text)


@given(st.lists(htmls, min_size=1, max_size=5), st.booleans())
@example(["<pre><code>" * 400], False)
@example(["<blockquote>" * 600 + "a"], False)
@example(["<a href='" * 300, "<" * 2000, "&" * 2000, "[" * 2000, "`" * 2001], False)
def test_a_batch_is_converted_as_one_body_after_another(bodies: list[str], boilerplate: bool) -> None:
    converted = convert_all(bodies, SITE, boilerplate=boilerplate)
    assert converted == [convert(html, SITE, boilerplate=boilerplate) for html in bodies]
    for one in converted:
        if isinstance(one, Converted):
            assert not has_control_characters(one.markdown)
            one.markdown.encode()


codes = st.lists(texts, min_size=1, max_size=5).map("\n".join)
BOUNDARY = "BEFORE THE CODE"


@given(codes, st.sampled_from(["", ' class="lang-py prettyprint-override"', ' class="default s-code-block"']))
def test_a_code_block_keeps_its_lines(code: str, attributes: str) -> None:
    code = re.sub(r"[\r\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]", "", code)
    assume(code.strip())
    html = f"<p>{BOUNDARY}</p>\n\n<pre{attributes}><code>{html_module.escape(code, quote=False)}\n</code></pre>\n"
    converted = convert(html, SITE)
    readable = html_module.unescape(re.sub("<[^<>]*>", "", with_readable_code(html, Counter())))
    assert isinstance(converted, Converted)
    _, _, block = converted.markdown.partition(BOUNDARY)
    assert lines_of_code("\n".join(lines_of_code(block)[1:-1])) == lines_of_code(readable.partition(BOUNDARY)[2])


def lines_of_code(text: str) -> list[str]:
    """The lines without empty ones at the edges and without white space at their ends."""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n").split("\n")


@given(htmls)
@example("<p>Hope this helps.</p>\nEDIT:")
def test_boilerplate_is_found_in_order_and_removing_it_keeps_everything_else(html: str) -> None:
    places = find_boilerplate(html)
    end = 0
    for place in places:
        assert end <= place.start < place.end <= len(html)
        end = place.end
    counts: Counter[str] = Counter()
    left = without(html, places, counts)
    assert bool(places) == (left != html)
    codes_of = re.compile("<(?:pre|code)>.*?</(?:pre|code)>", re.DOTALL)
    if html.count("<pre>") == html.count("</pre>"):
        assert codes_of.findall(left) == codes_of.findall(html) or not places


@given(htmls)
def test_steps_of_the_conversion_take_any_text(html: str) -> None:
    simplify(html)
    with_readable_code(html, Counter())


@given(htmls | st.lists(st.sampled_from(PHRASES) | texts, max_size=8).map(" ".join), st.booleans())
def test_secrets_are_found_in_order_and_what_is_around_them_stays(text: str, is_html: bool) -> None:
    secrets = find_secrets_in_html(text) if is_html and "&" in text else find_secrets(text)
    end, pattern = 0, ""
    for secret in secrets:
        assert end <= secret.start < secret.end <= len(text)
        pattern += re.escape(text[end : secret.start]) + "<[A-Z_0-9]+>"
        assert "```" not in text[secret.start : secret.end]
        end = secret.end
    redacted, kinds = redact(text, is_html=is_html)
    assert re.fullmatch(pattern + re.escape(text[end:]), redacted)
    assert kinds == tuple(secret.kind for secret in secrets)


@given(htmls | st.lists(st.sampled_from(PHRASES) | texts, max_size=8).map(" ".join))
def test_redacting_again_changes_nothing(text: str) -> None:
    redacted, _ = redact(text)
    assert redact(redacted)[0] == redacted
