"""Test keys without digits, names with blanks before a prompt, and letters with marks in addresses."""

import random
import string

import pytest

from tuning.dataset.redact.redact import find_secrets, redact

HEX = "5f3a9c2e8b1d4f60a7c3" + "e9d2b4f8160c"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("form", ["{}", "login('{}')", "notebook_login()  # {}", "HF_TOKEN={}", "`{}`"])
def test_a_hugging_face_token_needs_no_digit(seed: int, form: str) -> None:
    token = "hf_" + "".join(random.Random(seed).choices(string.ascii_letters, k=34))  # noqa: S311 - test data
    assert token not in redact(form.format(token))[0]


@pytest.mark.parametrize(
    "name", ["hf_" + "SomeVeryLongFunctionNameOfThirtyFo", "hf_" + "a_b" * 11, "hf_" + "model" * 7]
)
def test_a_name_that_begins_like_a_token_stays(name: str) -> None:
    assert find_secrets(name) == []


@pytest.mark.parametrize(
    "code",
    [
        "Client(client_secret='§')",
        "SECRET_KEY = '§'",
        '{"secret": "§"}',
        "r = redis.Redis()\nr.auth('§')",
        "r.execute_command('AUTH', 'joe', '§')",
        "dict(user='joe', pass_='§')",
        "child.expect('assword')\nchild.sendline('§')",
    ],
)
def test_short_secrets_go(code: str) -> None:
    text, kinds = redact(code.replace("§", "Zq81kWm4Tx"))
    assert "Zq81kWm4Tx" not in text
    assert len(kinds) == 1


@pytest.mark.parametrize(
    "code",
    [
        "secret = 'python3'",
        "secret_word = 'apple123'",
        "soup.auth('Zq81kWm4Tx')",
        "r.execute_command('GET', 'Zq81kWm4Tx')",
    ],
)
def test_other_short_values_stay(code: str) -> None:
    assert redact(code) == (code, ())


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("API_KEY", "TavilyClient('tvly-§')"),
        ("API_KEY", "Pinecone('pcsk_§§')"),
        ("API_KEY", "lsv2_pt_§_" + HEX[:10]),
        ("API_KEY", "Web3(HTTPProvider('https://mainnet.infura.io/v3/§'))"),
        ("API_KEY", "wss://goerli.infura.io/ws/v3/§"),
        ("API_KEY", "https://eth-mainnet.g.alchemy.com/v2/§"),
        ("API_KEY", f"wandb.login(key='§{HEX[:8]}')"),
    ],
)
def test_keys_of_more_providers_go(kind: str, text: str) -> None:
    changed, kinds = redact(text.replace("§", HEX))
    assert HEX not in changed
    assert kinds == (kind,)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("C:\\Users\\Jane Doe>python a.py", "C:\\Users\\<NAME>>python a.py"),
        ("PS C:\\Users\\Juan Carlos Perez> dir", "PS C:\\Users\\<NAME>> dir"),
        ("cd C:\\Users\\Jane Doe\ndir", "cd C:\\Users\\<NAME>\ndir"),
        ("dir C:\\Users\\jsmith1984 2>nul", "dir C:\\Users\\<NAME> 2>nul"),
        ("It is in C:\\Users\\jsmith1984 and so on", "It is in C:\\Users\\<NAME> and so on"),
    ],
)
def test_the_whole_name_before_a_prompt_goes(text: str, changed: str) -> None:
    assert redact(text)[0] == changed


def test_an_address_with_letters_outside_of_ascii_goes_whole() -> None:
    for name in ("jürgen", "jürgen.müller", "rené", "иван", "Ångström"):
        assert redact(f"Write to {name}@web.de.")[0] == "Write to <EMAIL>."
    assert redact("邮箱joe@web.de")[0] == "邮箱<EMAIL>"


def test_a_version_is_no_phone_number_and_a_number_with_dots_is() -> None:
    assert redact("version 1.800.275.2273")[1] == ()
    assert redact("Please call 1.800.275.2273")[1] == ("PHONE",)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("os.walk('/media/jsmith84/Data/f23')", "os.walk('/media/<NAME>/Data/f23')"),
        ("sudo mount /dev/sdb1 /run/media/jsmith84/DATA", "sudo mount /dev/sdb1 /run/media/<NAME>/DATA"),
        ("/media/usb/data/x and /media/uploads/jsmith84/a.png", None),
        ("url(r'^/media/holiday/big/a.png')", None),
        ('<img src="/media/holiday/big/a.png">', None),
        ("/media/holiday/a.png is what Django serves", None),
        ("http://example.com/media/holiday/big/", None),
    ],
)
def test_the_name_in_a_mounted_drive_goes(text: str, changed: str | None) -> None:
    assert redact(text)[0] == (changed or text)


@pytest.mark.parametrize(
    "text",
    [
        'login = ("jane", "§")',
        'session.login_data = ["jane", "§"]',
        'password = ["§"]',
        '{"password": ["§"]}',
        "pwd = ('§', )",
    ],
)
def test_a_password_in_brackets_goes(text: str) -> None:
    assert redact(text.replace("§", "Gr8tPa55!x"))[0] == text.replace("§", "<PASSWORD>")


@pytest.mark.parametrize(
    "text",
    ["login = (user, password)", 'password = ["required", "min:8"]', '{"password": ["This field is required."]}'],
)
def test_brackets_without_a_password_stay(text: str) -> None:
    assert redact(text)[0] == text
