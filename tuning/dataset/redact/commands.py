"""Find passwords in commands: `mysql -p…`, `sshpass -p …`, `curl -u user:…`, `echo … | sudo -S`."""

import re
from collections.abc import Iterator

from tuning.dataset.redact.values import is_password

Span = tuple[int, int]

# In a list such as `["mysql", "-p…"]` quotes and commas separate the words of a command.
_GAP = r"[\s\"',]{1,4}"
_VALUE = r"(?P<quote>\\?[\"']?)(?P<secret>[^\s\"'`,;|<>]{4,200})"
_SAME_LINE = r"[^\n`|;]{0,200}?"


def _command(names: str, option: str) -> re.Pattern[str]:
    """Return the pattern of a command with an option right before the password."""
    return re.compile(rf"(?<![\w.-])(?:{names})\b{_SAME_LINE}{_GAP}(?:{option}){_VALUE}")


# Texts without the word, in lower case, are skipped quickly.
_COMMANDS = (
    ("mysql", _command("mysql\\w*", "-p(?!ort|rotocol|\\d{2,5}\\b)")),
    ("mariadb", _command("mariadb\\w*", "-p(?!ort|rotocol|\\d{2,5}\\b)")),
    ("sshpass", _command("sshpass", rf"-p{_GAP}|-p")),
    ("curl", _command("curl", rf"(?:-u|--user|--proxy-user)(?:=|{_GAP}|)[\"']?[^\s:\"']{{1,100}}:")),
    ("plink", _command("plink\\w*", rf"-pw{_GAP}")),
    ("pscp", _command("pscp\\w*", rf"-pw{_GAP}")),
    ("psftp", _command("psftp\\w*", rf"-pw{_GAP}")),
    ("smbclient", _command("smbclient", rf"-U{_GAP}[\"']?[^\s%\"']{{1,100}}%")),
    ("net use", _command("net use", r"/user:[^\s\"']{1,100}\s{1,3}")),
    ("docker login", _command("docker login", rf"-p{_GAP}")),
    ("redis-cli", _command("redis-cli", rf"-a{_GAP}")),
    ("mongo", _command("mongo\\w*", rf"-p{_GAP}(?!\d+:|\d{{2,5}}\b)")),
    ("ldap", _command("ldap\\w+", rf"-w{_GAP}")),
    ("twine", _command("twine", rf"-p{_GAP}")),
    ("openssl", _command("openssl", "-pass(?:in|out)?[ \"',]{1,4}pass:")),
    ("sqlplus", re.compile(r"\bsqlplus\b[^\n/|;]{1,60}?/" + _VALUE.replace("[^", "[^@", 1) + "@")),
    ("sudo -s", re.compile(r"\becho\s{1,3}(?:-\w\s{1,3})?" + _VALUE + r"(?P=quote)\s{0,3}\|\s{0,3}sudo\s{1,3}-S\b")),
    ("password", re.compile(r"\blogin\s{1,9}\S{1,100}\s{1,9}password\s{1,9}" + _VALUE)),  # .netrc
)


def passwords_in_commands(text: str, lower: str) -> Iterator[Span]:
    """Yield the places of passwords in commands. `lower` is the text in lower case."""
    for word, pattern in _COMMANDS:
        for match in pattern.finditer(text) if word in lower else ():
            if is_password(match["secret"], "given"):
                yield match.span("secret")
