"""Test that a password goes on standard input, escaped, in markup, pieces, raw strings, blocks and the environment."""

from html import escape

import pytest

from tests.dataset.redact import written_places
from tuning.dataset.redact.decoded import without_entities, without_escapes
from tuning.dataset.redact.redact import redact

GO = (
    *written_places.ON_STANDARD_INPUT,
    *written_places.ESCAPED,
    *written_places.IN_MARKUP,
    *written_places.IN_PIECES,
    *written_places.RAW,
    *written_places.IN_BLOCKS,
    *written_places.MADE,
    *written_places.IN_ENVIRONMENT,
)
SECRET, PIECE = "kT93" + "xQvb77", "Zq" + "4"


@pytest.mark.parametrize("template", GO)
def test_the_password_goes_and_what_is_around_it_stays(template: str) -> None:
    text = template.replace("§", SECRET).replace("¶", PIECE)
    redacted = template.replace("§", "<PASSWORD>").replace("¶", "<PASSWORD>")
    assert redact(text)[0] == redacted
    body = f"<pre><code>{escape(text)}</code></pre>"
    assert redact(body, is_html=True)[0] == body.replace(SECRET, "<PASSWORD>").replace(PIECE, "<PASSWORD>")


@pytest.mark.parametrize("template", written_places.GO_WITH_MORE)
def test_a_password_with_signs_goes_whole(template: str) -> None:
    text = template.replace("§", SECRET).replace("¶", PIECE)
    for changed in (redact(text)[0], redact(f"<p>{escape(text)}</p>", is_html=True)[0]):
        assert SECRET not in changed
        assert "<PASSWORD>" in changed
        assert changed.count("§") == 0


@pytest.mark.parametrize("text", written_places.STAY)
def test_what_is_no_password_stays(text: str) -> None:
    assert redact(text) == (text, ())
    assert redact(escape(text), is_html=True) == (escape(text), ())


@pytest.mark.parametrize("secret", ["hunt" + "er2", "S3cr3t" + "!Pa55", "Tr0ub4" + "dor&3", "correct" + "horse9"])
@pytest.mark.parametrize(
    "template",
    [
        'echo "bob:§" | chpasswd',
        "\\u0022password\\u0022: \\u0022§\\u0022",
        "<password>§</password>",
        'password = "§" + ""',
        'let password = r#"§"#;',
        "password: |\n  §\n",
    ],
)
def test_short_passwords_and_those_with_signs_go(template: str, secret: str) -> None:
    assert redact(template.replace("§", secret))[0] == template.replace("§", "<PASSWORD>")


@pytest.mark.parametrize(
    "template",
    ["setx DB_PASSWORD §", "export DB_PASSWORD=§", "set PASSWORD=§", "$env:DB_PASSWORD=§", "ENV DB_PASSWORD=§"],
)
def test_a_variable_of_the_environment_needs_no_long_password(template: str) -> None:
    assert redact(template.replace("§", "hunt" + "er2"))[0] == template.replace("§", "<PASSWORD>")
    assert redact(template.replace("§", "secret"))[1] == ()


def test_a_place_in_a_decoded_text_is_found_in_the_original() -> None:
    body = "a &lt;b&gt; &quot;c&quot;"
    decoded = without_entities(body)
    assert decoded.text == 'a <b> "c"'
    assert [body[slice(*decoded.span(start, end))] for start, end in ((0, 1), (3, 4), (2, 5), (7, 8), (0, 9))] == [
        "a", "b", "&lt;b&gt;", "c", body,
    ]  # fmt: skip
    text = "x\\u0022y\\u0022"
    decoded = without_escapes(text)
    assert decoded.text == 'x\\"y\\"'
    assert text[slice(*decoded.span(3, 4))] == "y"
    assert text[slice(*decoded.span(2, 5))] == "y"  # half of an escape at both ends
