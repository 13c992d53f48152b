"""Find what marks secrets in a text, with one search. Most texts have no hint of a secret, and are done quickly."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from tuning.dataset.redact.decoded import SIGN_OF_ESCAPE
from tuning.dataset.redact.providers import RULES
from tuning.dataset.sieve import SPACE, Sieve

Hints = AbstractSet[str]

# Words that mark passwords and keys.
OF_PASSWORDS = frozenset(
    (
        *("pass", "pasw", "pw", "psw", "psk", "secret", "token", "key", "sessionid"),
        *("auth", "login", "cred", "connect", "ftp"),
    )
)
# What marks a password after its name, and in a call.
OF_NAMED_PASSWORDS = OF_PASSWORDS | {"foreign password"}
OF_CALLS = OF_PASSWORDS | {"call with password"}
OF_PHONES = frozenset(("international phone", "US phone", "digits of a phone"))
# `key` is often the key of a dictionary, so it counts only after one of these.
KINDS_OF_KEYS = (
    "api", "access", "secret", "auth", "account", "private", "encrypt", "encryption", "signing", "consumer", "license",
    "licence", "subscription", "app", "application", "storage", "master", "admin", "service", "shared", "deploy",
    "client", "server", "function", "host", "hmac", "jwt", "aes", "webhook", "write", "read", "ingest", "fernet",
)  # fmt: skip
# Words for a password in other languages, in RE2's syntax, which is also that of Python.
FOREIGN_WORDS = (
    "contrase(?:n|ñ|ni)as?|senhas?|парол[ьи]|密码|密碼|口令|パスワード|비밀번호|암호|mots?[ _-]?de[ _-]?passe|"
    "mdp|parola|wachtwoord|has[lł]o|kennwort|lösenord|salasana|adgangskode|heslo|jelszó|şifre|"
    "كلمة (?:السر|المرور)|סיסמה|รหัสผ่าน"
)
# Each search runs only in texts with its hint, which is a part of all that it can find.
_SIEVE = Sieve(
    {
        **{word: f"(?i){word}" for word in OF_PASSWORDS},
        "key": f"(?i)(?:{'|'.join(KINDS_OF_KEYS)})[_ -]?key",
        "foreign password": f"(?i){FOREIGN_WORDS}",
        "compared string": r"[\"'][ \t]*[!=]=",
        "table": r"-:?[ \t]*[|+][ \t]*:?-",
        "provider": "|".join(rule.sign for rule in RULES),
        "URL with password": r"://[^\s:/@\"'`<>]*:(?:[^\s/\"'`<>]|\\[\"'`])+@",
        "typed text": r"\.send_keys|\.fill\(|\.type\(|\.set|\.press_|_text\(|fill_in\(",
        "call with password": r"(?i)(?:create_(?:super)?user|yagmail\.smtp|simple_bind(?:_s)?|setpassword|extractall)\("
        r"|(?:b64encode|encodestring)\(|expect\([^)\n]*assw|execute_command\(|wifi\.begin\(",
        "escaped sign": SIGN_OF_ESCAPE,
        "command": rf"(?:{SPACE}|[\"'])-(?:[puawUSPNk]|-user|-proxy-user)|/user:|sqlplus|impdp|expdp|sqlldr"
        r"|mysqladmin|keytool|htpasswd|rabbitmqctl|net use|/p:|nmcli|requirepass|send [\"'-]"
        r"|passwd|--stdin|password[_-]stdin|passphrase-fd|cryptsetup|su -|mysql_config_editor|vault-pass"
        r"|(?i)kinit|pgpass|convertto-securestring|identified|set password|(?:create|alter) (?:user|role)",
        "email": r"@[A-Za-z0-9À-ɏͰ-ԯ][A-Za-z0-9À-ɏͰ-ԯ-]*\.[A-Za-z0-9À-ɏͰ-ԯ]",
        "IP address": r"(?:[0-9]{1,3}\.){3}[0-9]|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]*:",
        "path": r"/home\p{Nd}?/|/media/|(?i)[/\\](?:users|documents and settings)[/\\]",
        "international phone": r"\+[(1-9][ .()\p{Nd}-]{6}",
        "US phone": "[-. )][0-9]{3}[-. ][0-9]{4}",
        "digits of a phone": "[0-9]{3}[-. ][0-9]{4}|[0-9]{9}",
    }
)


def hints_in(text: str) -> tuple[Hints, str]:
    """Return the hints in a text, and the text in lower case.

    The second is the text itself if it would get longer in lower case, because places in both must be the same.
    """
    found = _SIEVE.search(text)
    if not found:
        return frozenset(), ""
    lower = text.lower()
    if len(lower) != len(text):
        lower = text
    return {hint for hint in found if hint not in OF_PASSWORDS or hint in lower}, lower


def starts(lower: str, word: str) -> Iterator[int]:
    """Yield the places of a word."""
    place = lower.find(word)
    while place >= 0:
        yield place
        place = lower.find(word, place + len(word))
