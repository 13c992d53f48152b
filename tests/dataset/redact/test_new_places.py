"""Test secrets in places that are easy to miss: before the variable of a host, in marked-up text, in other scripts."""

import pytest

from tests.dataset.redact import new_places
from tuning.dataset.redact.redact import redact

SECRET = "Kx93" + "mQvT7z"
APP_PASSWORD = "qzxw vbnm " + "trew plok"


@pytest.mark.parametrize("template", [*new_places.GO, *new_places.IN_HTML])
def test_only_the_secret_goes(template: str) -> None:
    text, kinds = redact(template.replace("§", SECRET), is_html=template in new_places.IN_HTML)
    assert text.replace("<PASSWORD>", "§") == template
    assert kinds == ("PASSWORD",)


@pytest.mark.parametrize("text", new_places.STAY)
def test_what_names_no_secret_stays(text: str) -> None:
    assert redact(text) == (text, ())


def test_a_password_with_an_at_sign_goes_whole() -> None:
    for password in ("Kx9@3mQvT7z", "Kx9@3mQ@vT7z"):
        assert redact(f"postgres://joe:{password}@db.corp.com/x")[0] == "postgres://joe:<PASSWORD>@db.corp.com/x"


@pytest.mark.parametrize(
    "template",
    ["password = '§'", 'EMAIL_HOST_PASSWORD = "§"', "login('joe', '§')", 'yagmail.SMTP("joe", "§")'],
)
def test_an_app_password_of_four_groups_goes(template: str) -> None:
    assert redact(template.replace("§", APP_PASSWORD))[0] == template.replace("§", "<PASSWORD>")
