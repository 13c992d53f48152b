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


def test_a_link_keeps_the_name_of_a_path() -> None:
    link = "https://github.com/org/jsmith7/commit/5dbd3b8"
    assert (
        redact(f"{link} in /home/jsmith7/.cabal, backup/jsmith7/x")[0]
        == f"{link} in /home/<NAME>/.cabal, backup/<NAME>/x"
    )


@pytest.mark.parametrize(
    "template",
    ["password = '§'", 'EMAIL_HOST_PASSWORD = "§"', "login('joe', '§')", 'yagmail.SMTP("joe", "§")'],
)
def test_an_app_password_of_four_groups_goes(template: str) -> None:
    assert redact(template.replace("§", APP_PASSWORD))[0] == template.replace("§", "<PASSWORD>")


KEY_LINES = "\n".join("MIIEpAIBAAKCAQEA7bq0Vt" + "z1Qx" * 10 + "Ab" for _ in range(4))
ENCRYPTED = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F1E2D3C4B5A69788796A5B4C3D2E1F0\n\n" + KEY_LINES
PEM, SSH2 = "RSA PRIVATE " + "KEY-----", "SSH2 ENCRYPTED PRIVATE " + "KEY ----"


@pytest.mark.parametrize("new_line", ["\n", "\r\n", "\\n"])
@pytest.mark.parametrize(
    "key",
    [
        f"-----BEGIN {PEM}\n{ENCRYPTED}\n-----END {PEM}",
        f"-----BEGIN {PEM}\n{ENCRYPTED}",
        f'---- BEGIN {SSH2}\nComment: "2048-bit rsa"\n{KEY_LINES}\n---- END {SSH2}',
        f"---- BEGIN {SSH2}\n{KEY_LINES}",
    ],
)
def test_an_encrypted_key_goes_even_if_its_end_is_cut_off(key: str, new_line: str) -> None:
    text = f"My key:\n```\n{key}\n```\nWhy?".replace("\n", new_line)
    assert redact(text) == ("My key:\n```\n<PRIVATE_KEY>\n```\nWhy?".replace("\n", new_line), ("PRIVATE_KEY",))


@pytest.mark.parametrize(
    "text",
    [
        f"-----BEGIN {PEM}\nProc-Type: 4,ENCRYPTED\n...\n-----END {PEM}",
        f"It begins with -----BEGIN {PEM} and Proc-Type: 4,ENCRYPTED",
        f"---- BEGIN SSH2 PUBLIC KEY ----\n{KEY_LINES}\n---- END SSH2 PUBLIC KEY ----",
        f"-----BEGIN CERTIFICATE-----\n{KEY_LINES}\n-----END CERTIFICATE-----",
    ],
)
def test_a_key_that_is_public_or_left_out_stays(text: str) -> None:
    assert redact(text) == (text, ())


@pytest.mark.parametrize("name", new_places.NAMES)
@pytest.mark.parametrize(
    "template", ["C:\\Users\\§\\Desktop\\a.py", "/Users/§/a.py", "C:\\Users\\§>python", "open('/home/§')"]
)
def test_a_name_in_any_script_goes(template: str, name: str) -> None:
    assert redact(template.replace("§", name)) == (template.replace("§", "<NAME>"), ("NAME",))


@pytest.mark.parametrize("path", new_places.PATHS_OF_NOBODY)
def test_a_role_in_another_language_stays(path: str) -> None:
    assert redact(path) == (path, ())


def test_a_name_with_marks_goes_again_in_a_prompt() -> None:
    assert redact("/home/मोहन/x मोहन@host:~$ ls")[0] == "/home/<NAME>/x <NAME>@host:~$ ls"


@pytest.mark.parametrize("address", new_places.ADDRESSES)
def test_an_address_with_an_international_domain_goes(address: str) -> None:
    assert redact(f"Write to {address}, please") == ("Write to <EMAIL>, please", ("EMAIL",))
    assert redact(f"login('joe', '{address}')")[0] == "login('joe', '<EMAIL>')"
