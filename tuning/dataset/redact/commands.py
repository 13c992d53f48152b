"""Find passwords in commands: `mysql -p…`, `sshpass -p …`, `curl -u user:…`."""

import re
from collections.abc import Iterator

from tuning.dataset.redact.values import is_password
from tuning.dataset.redact.written.pieces import IN_COMMAND, Pieces, Span, following, joined
from tuning.dataset.redact.written.standard_input import passwords_on_standard_input
from tuning.dataset.redact.written.strings import ESCAPED, text_in

# In a list such as `["mysql", "-p…"]` quotes and commas separate the words of a command.
_GAP = r"[\s\"',]{1,4}"
_VALUE = (
    r"(?P<quote>\\?[\"']?)"
    rf"(?P<secret>(?>{ESCAPED}|[^\s\"'`,;|<>\\]|\\(?![\"'`])|'\\''|'\"'\"'|\"'\"'\"|(?<=\w)[\"'](?=\w)){{4,200}})"
)
_IN_SQL = (
    r"[EN]?(?P<quote>\\?[\"']|\$\w{0,10}\$)"
    rf"(?P<secret>{text_in('quote', length='4,200')}|[^\s\"'`]{{4,200}}?)(?P=quote)"
)
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
    ("lftp", _command("lftp", rf"(?:-u|--user)(?:=|{_GAP})[\"']?[^\s,\"']{{1,100}},")),
    ("plink", _command("plink\\w*", rf"-pw{_GAP}")),
    ("pscp", _command("pscp\\w*", rf"-pw{_GAP}")),
    ("psftp", _command("psftp\\w*", rf"-pw{_GAP}")),
    ("smbclient", _command("smbclient", rf"-U{_GAP}[\"']?[^\s%\"']{{1,100}}%")),
    ("net use", _command("net use", r"/user:[^\s\"']{1,100}\s{1,3}")),
    *((name, _command(name, rf"-p{_GAP}")) for name in ("docker login", "podman login", "oc login", "cf login")),
    ("mycli", _command("mycli", rf"-p{_GAP}|-p")),
    ("convertto-securestring", re.compile(rf"(?i)\bconvertto-securestring\s{{1,3}}(?:-string\s{{1,3}})?{_VALUE}")),
    ("pgpass", re.compile(r"(?m)^[\w.*-]{1,100}:(?:\d{2,5}|\*)(?::[\w.*-]{1,60}){2}:(?P<secret>[^\s:\"'`<>]{4,200})")),
    ("redis-cli", _command("redis-cli", rf"-a{_GAP}")),
    ("mongo", _command("mongo\\w*", rf"-p{_GAP}(?!\d+:|\d{{2,5}}\b)")),
    ("ldap", _command("ldap\\w+", rf"-w{_GAP}")),
    ("twine", _command("twine", rf"-p{_GAP}")),
    ("openssl", _command("openssl", "-pass(?:in|out)?[ \"',]{1,4}pass:")),
    *(
        (word, re.compile(rf"\b{word}\b[^\n/|;]{{1,60}}?/" + _VALUE.replace("[^", "[^@", 2) + "@"))
        for word in ("impdp", "expdp", "sqlldr")
    ),
    ("mysqladmin", _command("mysqladmin", rf"password{_GAP}")),
    ("zip ", _command("(?:un)?zip", rf"-P{_GAP}|-P")),
    ("7z", _command("7z[ar]?", "-p")),
    ("unrar", _command("unrar", "-h?p")),
    ("ssh-keygen", _command("ssh-keygen", rf"-[NP]{_GAP}")),
    ("keytool", _command("keytool", rf"-(?:store|key)pass{_GAP}")),
    ("openssl", _command(r"openssl\s{1,3}(?:enc|aes|des)[\w-]{0,20}", rf"-k{_GAP}")),
    ("htpasswd", re.compile(r"\bhtpasswd\s{1,3}-\w{0,9}b\w{0,9}\s{1,3}\S{1,100}\s{1,3}\S{1,60}\s{1,3}" + _VALUE)),
    ("mosquitto_", _command("mosquitto_[ps]ub", rf"-P{_GAP}")),
    ("sqlcmd", _command("sqlcmd", rf"-P{_GAP}")),
    ("bcp ", _command("bcp", rf"-P{_GAP}")),
    ("az login", _command("az login", rf"-p{_GAP}")),
    ("rabbitmqctl", re.compile(r"\brabbitmqctl\s{1,3}(?:add_user|change_password)\s{1,3}\S{1,60}\s{1,3}" + _VALUE)),
    ("net user", re.compile(r"\bnet user\s{1,3}[^\s/]{1,60}\s{1,3}(?!/)" + _VALUE)),
    (
        "net use",
        re.compile(r"\bnet use\s{1,3}(?:\w:\s{1,3})?\\\\\S{1,100}\s{1,3}(?!/)" + _VALUE + r"(?P=quote)\s{1,3}/user:"),
    ),
    ("freerdp", _command("\\w?freerdp\\w*", "/p:")),
    ("nmcli", _command("nmcli", rf"password{_GAP}")),
    ("requirepass", re.compile(r"\brequirepass[\s\"',]{1,4}" + _VALUE)),
    (
        "expect",  # of Tcl
        re.compile(
            r"\bexpect\s[^\n]{0,60}?assw[^\n]{0,40}\n\s{0,20}send (?:-- )?[\"'](?P<secret>[^\s\"'`\\]{4,200})\\[rn]"
        ),
    ),
    (
        "identified",
        re.compile(r"(?i)\bidentified\s{1,9}(?:with\s{1,9}\S{1,60}\s{1,9})?by\s{1,9}" + _IN_SQL),
    ),
    (
        "identified",
        re.compile(r"(?i)\b(?:create|alter)\s{1,9}user\s{1,9}\S{1,60}\s{1,9}identified\s{1,9}by\s{1,9}" + _VALUE),
    ),
    (
        "set password",
        re.compile(rf"(?i)\bset password\b[^;`\n]{{0,100}}?=\s{{0,9}}(?:password\s{{0,9}}\(\s{{0,9}})?{_IN_SQL}"),
    ),
    *(
        (words, re.compile(rf"(?i)\b{words}\b[^;`]{{1,200}}?\bpassword\s{{1,9}}{_IN_SQL}"))
        for words in ("create user", "alter user", "create role", "alter role")
    ),
    ("sqlplus", re.compile(r"\bsqlplus\b[^\n/|;]{1,60}?/" + _VALUE.replace("[^", "[^@", 2) + "@")),
    ("password", re.compile(r"\blogin\s{1,9}\S{1,100}\s{1,9}password\s{1,9}" + _VALUE)),  # .netrc
)


def passwords_in_commands(text: str, lower: str) -> Iterator[Span]:
    """Yield the places of passwords in commands. `lower` is the text in lower case."""
    for word, pattern in _COMMANDS:
        for match in pattern.finditer(text) if word in lower else ():
            pieces: Pieces = (match.span("secret"),)
            if match.groupdict().get("quote"):
                pieces += following(text, match.end("secret") + len(match["quote"]), IN_COMMAND)
            if is_password(joined(text, pieces), "given"):
                yield from pieces
    yield from passwords_on_standard_input(text, lower)
