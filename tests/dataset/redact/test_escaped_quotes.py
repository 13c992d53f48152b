"""Test that a quote within a password does not keep it in the text, however its language escapes the quote."""

import time

import pytest

from tuning.dataset.redact.redact import find_secrets, redact

# `§` and `¶` are the two halves of the password.
_STRINGS = (
    r'password = "§\\¶"', r'password = "§\"¶"', r"password = '§\'¶'", r'password = "§\'¶"', r'password = `§\`¶`',
    r'password = "\"§¶\""',
    r'password = "§""¶"', r"password := '§''¶';", r'password = "§' + "'" + r'¶"', r"password = '§" + '"' + r"¶'",
    r'password = """§"¶"""', r"password = '''§'¶'''", r'$password = "§`"¶"', r"PASSWORD='§'\''¶'",
    "PASSWORD='§'\"'\"'¶'", r'x = "{\"password\": \"§\\\"¶\"}"', r'string password = @"§""¶";', r'@"password=""§¶"""',
    r"'password=''§¶'''", r"{'password': '§\'¶'}", r'{"password": "§\"¶"}', r'if "§\"¶" == password:',
    r'if password == "§\"¶":', r'contraseña = "§\"¶"', r"PASSWORD=§\'¶", r'--password=§\"¶', r"Uid=joe;Pwd='§''¶';",
    r'parser.add_argument("--password", default="§\"¶")', '<input type="password" value="§' + "'" + '¶">',
    r'{"name": "DB_PASSWORD", "value": "§\"¶"}', r'postgres://joe:§\"¶@db.internal.io/x',
)  # fmt: skip
_CALLS = (
    r'smtp.login("joe", "§\"¶")', r"smtp.login('joe', '§''¶')", r'requests.get(u, auth=("joe", "§\"¶"))',
    r'user, pw = "joe", "§\"¶"', r'passwords = ["§\"¶"]', r'b64encode(b"joe:§\"¶")',
)  # fmt: skip
_COMMANDS = (
    r'mysql -u root -p"§\"¶"', r"mysql -u root -p'§'\''¶'", r"mysql -u root -p§\'¶",
    r"sshpass -p '§" + '"' + "¶' ssh h",
    r"CREATE USER bob IDENTIFIED BY '§''¶'", r"CREATE USER bob IDENTIFIED BY '§\'¶'", r'curl -u "joe:§\"¶" http://h',
    r"ALTER USER bob WITH PASSWORD '§''¶'", r"SET PASSWORD FOR bob = PASSWORD('§''¶')", r'echo "§\"¶" | sudo -S ls',
)  # fmt: skip


@pytest.mark.parametrize("template", [*_STRINGS, *_CALLS, *_COMMANDS])
def test_no_half_of_a_password_with_a_quote_stays(template: str) -> None:
    halves = "kT93", "xQvb77"
    text, _ = redact(template.replace("§", halves[0]).replace("¶", halves[1]))
    assert not any(half in text for half in halves)
    assert "<PASSWORD>" in text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (r'f("{\"password\": \"kT93xQvb77\"}")', r'f("{\"password\": \"<PASSWORD>\"}")'),
        (r'os.system("mysql -u root -p\"kT93xQvb77\"")', r'os.system("mysql -u root -p\"<PASSWORD>\"")'),
        (r'password = "kT93xQvb77\", user = "bob"', r'password = "<PASSWORD>", user = "bob"'),
        ('password="kT93xQvb77", host="a"', 'password="<PASSWORD>", host="a"'),
        ('x = \'{"password": "kT93xQvb77"}\'', 'x = \'{"password": "<PASSWORD>"}\''),
    ],
)
def test_what_follows_the_closing_quote_stays(text: str, redacted: str) -> None:
    assert redact(text)[0] == redacted


@pytest.mark.parametrize(
    "text",
    [
        '"password=\'"+pw1Xyz+"\'"',
        "'password=\"'+pw1Xyz+'\"'",
        r'"password=\""+pw1Xyz+"\""',
        'password = "" if x1 else ""',
        'connect(password="",host="db7.example.com",port="")',
    ],
)
def test_strings_that_are_joined_with_a_variable_stay(text: str) -> None:
    assert find_secrets(text) == []


@pytest.mark.parametrize("unit", ["\\", '\\"', '""', "'\\''", "a'", "a`'b"])
@pytest.mark.parametrize("start", ['password = "abcd', "login('joe', 'ab", "mysql -p'ab", "'abcd"])
def test_quotes_and_backslashes_without_an_end_take_linear_time(start: str, unit: str) -> None:
    times = []
    for length in (5_000, 40_000):
        text = start + (unit * length)[:length] + " == password"
        began = time.process_time()
        redact(text)
        times.append(time.process_time() - began)
    assert times[1] < 20 * times[0] + 0.1  # 8 times as much for 8 times the text; 64 times would be quadratic
