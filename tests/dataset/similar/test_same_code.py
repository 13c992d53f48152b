"""Test what is the same code, and the same signs in prose; the Unicode form of a text makes no difference."""

import time
import unicodedata

import pytest

from tuning.dataset.similar.shingles import hash_shingles, shingles, text_keys
from tuning.dataset.similar.words import code_of, signs_of

FORMS = pytest.mark.parametrize("form", ["`{}`", "```python\nx = 1\n{}\n```", "<pre><code>{}</code></pre>"])


@FORMS
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s = ' '.join(words)", "s = ''.join(words)"),
        ("print(x, end=' ')", "print(x, end='')"),
        ("strptime(s, '%d %m %Y')", "strptime(s, '%d%m%Y')"),
        ('s.split(" ")', 's.split("")'),
        ("s.lstrip('\\n ')", "s.lstrip('\\n')"),
        ("s.replace(' ', '')", "s.replace('', ' ')"),
        ("re.sub(r'[ ]+', '', s)", "re.sub(r'[]+', '', s)"),
        ("re.sub(rb\"a b\", b'', s)", "re.sub(rb\"ab\", b'', s)"),
        ("'''a\n\nb'''", "'''a\nb'''"),
        ('"""a  b"""', '"""a b"""'),
        ('"it\'s"', "'it\"s'"),
        ("print('it\\'s a')", "print('it\\'sa')"),
        ("grep 'a b' f", "grep 'ab' f"),
        ("f(a b)", "f(ab)"),
        ("SELECT a b", "SELECT ab"),
        ("'a\tb'", "'a b'"),
    ],
)
def test_white_space_and_quotes_in_string_literals_count(one: str, other: str, form: str) -> None:
    assert code_of(form.format(one)) != code_of(form.format(other))


@FORMS
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("f(a, 'b c')", 'f( a,"b c" )'),
        ("x = a [ 1 : ]", "x=a[1:]"),
        ('"""a b"""', "'''a b'''"),
        ("a  =  'b'  # don't do  this", "a='b' # don't do this"),
        ("print(r'\\d a', 1)", 'print(r"\\d a",1)'),
        ("if  a:\n    return  'x y'", "if a:\n\n    return 'x y'  "),
    ],
)
def test_white_space_outside_of_literals_and_the_kind_of_quotes_do_not_count(one: str, other: str, form: str) -> None:
    assert code_of(form.format(one)) == code_of(form.format(other))


@pytest.mark.parametrize(
    "text",
    [
        "```\n" + '\\"""\n' * 20_000 + "```",
        "```\n" + "'''\"\"\"" * 15_000 + "'```",
        "```\n" + "\"'" * 50_000 + "```",
        "```\n" + "a'''\n" * 20_000 + "```",
        "```\n" + "\\" * 99_999 + "'```",
    ],
)
def test_code_with_many_quotes_takes_a_moment(text: str) -> None:
    begin = time.process_time()
    code_of(text)
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    "text",
    ["Où est le problème déjà résolu là-bas où ça gêne?", "파이썬에서 한국어 문자열을 어떻게 나눌 수 있나요", "`'é'`"],
)
def test_the_unicode_form_of_a_text_makes_no_difference(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert shingles(composed) == shingles(decomposed)
    assert hash_shingles([composed])[0].tolist() == hash_shingles([decomposed])[0].tolist()
    assert len(set(text_keys([composed, decomposed]).tolist())) == 1
    assert code_of(composed) == code_of(decomposed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How is it written in C++?", "How is it written in C#?"),
        ("It is F# code", "It is F code"),
        ("update $w_t + \\eta\\nabla L$", "update $w_t - \\eta\\nabla L$"),
        ("use shift(-1) here", "use shift(+1) here"),
        ("use shift(-1) here", "use shift(1) here"),
        ("the number -9", "the number 9"),
        ("so a < b holds", "so a > b holds"),
        ("<p>so a &lt; b holds</p>", "<p>so a &gt; b holds</p>"),
        ("it is $x^2$", "it is $x_2$"),
        ("\\(a*b\\)", "\\(a/b\\)"),
        ("at http://a.b/c+d", "at http://a.b/c-d"),
        ("that is 👍", "that is 👎"),
        ("it costs 5€", "it costs 5£"),
        ("x ≤ y", "x ≥ y"),
    ],
)
def test_prose_that_differs_in_an_operator_has_other_signs(one: str, other: str) -> None:
    assert signs_of(one) != signs_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Well - you can (of course) do that: first a; then b.", "Well you can, of course, do that! First a, then b;"),
        ("- one\n- two\n\n# Title\n> quoted", "* one\n* two\n\n## Title\nquoted"),
        ("a **bold** word, built-in", "a *bold* word, builtin"),
        ("1\\. not a list\\!", "1. not a list!"),
        ("<p>It is <b>so</b>.</p>", "It is so"),
        ("“It’s” so – or not…", '"It\'s" so - or not...'),
        ("see `a + b` and\n```\nc - d\n```\nthere", "see `a - b` there"),
    ],
)
def test_other_punctuation_and_markup_are_no_signs(one: str, other: str) -> None:
    assert signs_of(one) == signs_of(other)


def test_signs_of_a_long_text_take_a_moment() -> None:
    begin = time.process_time()
    for text in ("- " * 100_000, "<a" * 100_000, "-" * 200_000, "*+" * 100_000, "\n\t" * 100_000):
        signs_of(text)
    assert time.process_time() - begin < 2
