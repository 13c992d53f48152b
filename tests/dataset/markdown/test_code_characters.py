"""Test that characters that Python does not read are replaced in code, and only there."""

import ast

import pytest

from tuning.dataset.markdown.convert import Converted, convert

SITE = "https://stackoverflow.com"


def converted(html: str) -> Converted:
    result = convert(html, SITE)
    assert isinstance(result, Converted), result
    return result


def test_code_from_a_web_page_parses() -> None:
    code = "\ufeffdef f(x):\n\xa0\xa0&nbsp;\u202freturn\u2003x\u200b\u200c + 1\u2028y\u00ad = 2\n"
    result = converted(f"<pre><code>{code}</code></pre>")
    assert result.markdown == "```python\ndef f(x):\n    return x + 1\ny = 2\n```"
    ast.parse(result.markdown.strip("`").removeprefix("python\n"))
    assert result.changes == {
        "removed byte-order mark": 1,
        "replaced non-breaking space": 4,
        "replaced Unicode space": 1,
        "removed zero-width character": 3,
        "replaced line separator": 1,
    }


@pytest.mark.parametrize(
    "code",
    [
        "re.sub('[\u200b\ufeff]+', '', s)",
        "s.strip('\u200b')",
        "s.replace(u'\xa0', ' ')",
        's.replace("\u2028", "\\n")',
        r"re.split(r'[\s\xa0]+|\u00ad' '\xad', s)".replace(r"\s\xa0", "\\s\xa0"),
    ],
)
@pytest.mark.parametrize("frame", ["<pre><code>{}</code></pre>", "<p>Use <code>{}</code> here.</p>"])
def test_a_string_that_consists_of_such_characters_stays(code: str, frame: str) -> None:
    result = converted(frame.format(code))
    assert code in result.markdown
    assert not result.changes


def test_strings_with_words_and_the_code_between_strings_are_readable() -> None:
    result = converted("<pre><code>x = 'a'\xa0+\xa0'b' + 'a\xa0b' + '\xa0' # don't\xa0do</code></pre>")
    assert result.markdown == "```python\nx = 'a' + 'b' + 'a b' + '\xa0' # don't do\n```"
    assert result.changes == {"replaced non-breaking space": 4}


def test_inline_code_is_code_and_prose_is_not() -> None:
    result = converted("<p>a\xa0b\u200b <code>x\xa0= 1\u200b</code></p>")
    assert result.markdown == "a\xa0b\u200b `x = 1`"
    assert result.changes == {"replaced non-breaking space": 1, "removed zero-width character": 1}


def test_letters_and_pictures_of_other_scripts_stay_whole() -> None:
    strings = "'می\u200cخواهم' + '👨\u200d👩' + 'שלום\u200f' + '全角\u3000文字'"
    result = converted(f"<pre><code>{strings}</code></pre>")
    assert result.markdown == f"```\n{strings}\n```"
    assert not result.changes
