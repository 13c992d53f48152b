"""Find passwords and keys that only their context reveals: `password = "…"`, `Bearer …`, `//user:…@host`."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

Span = tuple[int, int]

# Words in the names of secrets. `key` is often the key of a dictionary, so it counts only after one of _KINDS_OF_KEYS.
_WORDS_OF_SECRETS = ("pass", "pwd", "secret", "token", "key", "sessionid")
_KINDS_OF_KEYS = (
    "api", "access", "secret", "auth", "account", "private", "encrypt", "encryption", "signing", "consumer", "license",
    "licence", "subscription", "app", "application", "storage", "master", "admin", "service", "shared", "deploy",
    "client", "server", "function", "host", "hmac", "jwt", "aes", "webhook", "write", "read", "ingest",
)  # fmt: skip
_OF_PASSWORD = re.compile(r"(?i:word|wd|phrase)")
_PASS = re.compile(r"(?:[A-Z]+_|[a-z]+_|(?<!\w)|--)\Z")  # before "pass", as in DB_PASS, db_pass, pass, and --pass
# How a value follows its name: first the rest of the name (without words such as "hash": a hash of a secret is not
# secret), then `=`, `:`, `=>`, `", "`, `">`, ` is ` or the space after a command's option, then a quoted or bare value.
_ASSIGNED = re.compile(
    r"(?i:(?:word|wd|phrase)?)(?i:[_-]?(?:access|secret|api|auth|salt|key|token|value|string|text|prod|dev|live|staging|base64|s|\d+))*"
    r"(?:"
    r"\\?[\"'`]?\]?\)?(?:[ \t]*(?::=|=>|==?|:)[ \t]*|[ \t]{1,3}(?:is|was)(?::[ \t]*|[ \t]+)|[ \t]+value[ \t]*=[ \t]*)"
    r"(?:[A-Za-z\[\]]{3,14}[ \t]*=[ \t]*)?(?:[brufBRUF]{1,2}(?=[\"']))?"
    r"|\\?[\"']\s*,\s*(?=\\?[\"'])|(?P<tag>>)|(?P<space>[ \t]+)"
    r")"
    r"(?:(?P<open>\\?[\"'`])(?P<quoted>[^\s\"'`]{6,300}?)(?P=open)|(?P<bare>[^\s\"'`,;<>(){}\[\]&|]{8,300}))"
)
_HEADER = re.compile(
    r"(?i)(?:\b(?:bearer|basic)|authorization[\"']?\s*[:=,]\s*[\"']?(?:token|apikey|key|bot)?)\s+[\"']?"
    r"([A-Za-z0-9+/=._~-]{12,})"
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^\s:/@\"'`<>]*):([^\s/\"'`<>]+?)@(?=[\w\[.-])")
_CURL_USER = re.compile(r"\bcurl\b[^\n`]{0,200}?\s(?:-u|--user)[\s=]+[\"']?[^\s:\"']+:([^\s\"']{4,})")
_PLACEHOLDER = re.compile(
    r"x{4}|X{4}|\*{3}|\.{3}|…|(?i:your|example|sample|dummy|placeholder|change_?me|replace|redacted|foobar|not_?real|fake|"
    r"pass_?w(?:or)?d|passphrase|123456|abcdef|qwert|asdf|0{7}|my_?(?:api|secret|token|key|pass)|"
    r"(?:api|secret|access|auth)_?(?:key|token)|_here\b)"
)
# A variable, a format, a path, a URL or a call: the program fills in the real value when it runs.
_TEMPLATE = re.compile(r"\$[{(A-Z]|[{}<>]|%\w?\(|%[sdr]\b|\\[ux]|^[/.~]|://|^[\w.-]+\(")
_NAME = re.compile(r"[A-Za-z]+\d{0,4}(?:[._/:-][A-Za-z]*\d{0,4})*")
_PART_OF_WORD = re.compile("[a-z]{3,}")
_PART_OF_CONSTANT = re.compile("[A-Z]{3,}(?=[_-]|$)")
_PLAIN_WORDS = (
    "password|pass|passwd|pwd|passw0rd|pw|secret|user|username|root|admin|guest|postgres|mysql|test|example|changeme|"
    "token|apikey|key|x+|pass123|host|port|p|toor|default|none|null|mypassword|my_password|secretpassword"
)
_URL_WORD = re.compile(_PLAIN_WORDS, re.IGNORECASE)


def passwords(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the kind, start and end of values that their names, headers or URLs mark as secret."""
    if "://" in text and "@" in text:
        for match in _URL.finditer(text):
            value = match[2]
            if (
                not _URL_WORD.fullmatch(value)
                and value.lower() != match[1].lower()
                and not is_placeholder(value)
                and not _TEMPLATE.search(value)
            ):
                yield "PASSWORD", *match.span(2)
    if "curl" in text:
        for match in _CURL_USER.finditer(text):
            if len(match[1]) < 8 and match[1].isalpha():
                continue
            if not is_placeholder(match[1]) and not _URL_WORD.fullmatch(match[1]) and not _TEMPLATE.search(match[1]):
                yield "PASSWORD", *match.span(1)
    lower = text.lower()
    if len(lower) != len(text):  # some letters get longer in lower case, which would shift the places in `text`
        lower = text
    if "bearer " in lower or "basic " in lower or "authorization" in lower:
        for match in _HEADER.finditer(text):
            if is_random(match[1]) and not match[1].startswith("AWS4"):  # "AWS4…" is the name of a signing method
                yield "SECRET", *match.span(1)
    for word in _WORDS_OF_SECRETS:
        place = lower.find(word)
        while place >= 0:
            if _names_secret(text, lower, word, place) and (span := _value_after(text, word, place)):
                yield "PASSWORD" if word.startswith("p") else "SECRET", *span
            place = lower.find(word, place + len(word))


def _names_secret(text: str, lower: str, word: str, place: int) -> bool:
    if word == "key":
        end = place - (lower[place - 1 : place] in ("_", " ", "-"))
        return lower.endswith(_KINDS_OF_KEYS, max(0, end - 14), end)
    if word == "pass":  # `password` marks a secret anywhere in a name, `pass` only as a last word, not in `bypass`
        before = text[max(0, place - 14) : place]
        return _OF_PASSWORD.match(text, place + 4) is not None or _PASS.search(before) is not None
    return True


def _value_after(text: str, word: str, place: int) -> Span | None:
    """Return the place of the secret value that is assigned to the name with `word` at `place`, or None."""
    match = _ASSIGNED.match(text, place + len(word))
    if match is None:
        return None
    start, end = match.span("quoted" if match["quoted"] else "bare")
    if match["bare"]:
        end = start + len(match["bare"].rstrip(".:!?"))  # without punctuation at the end of a sentence
        if text[end : end + 1] in tuple("([{"):  # a call or an index, so this is code and not a value
            return None
    if match["space"] is not None and "--" not in text[max(0, place - 24) : place].rpartition(" ")[2]:
        return None  # only the option of a command is separated from its value by a space
    if match["tag"] and text[end : end + 2] != "</":
        return None
    value = text[start:end]
    if is_placeholder(value) or _TEMPLATE.search(value):
        return None
    is_explicit = match["quoted"] is not None or text[place : place + len(word)].isupper()  # "…" or PASSWORD=…
    strong = word.startswith("p") and _is_strong(value) and (is_explicit or _has_symbol(value))
    return (start, end) if strong or is_random(value) else None


def is_placeholder(value: str) -> bool:
    """Return whether a value is only a placeholder: a known word, repeated characters or a keyboard sequence."""
    return _PLACEHOLDER.search(value) is not None or len(set(value)) < min(8, 0.6 * len(value))


def is_random(value: str) -> bool:
    """Return whether a value looks random: 12 or more characters, letters mixed with digits, no words.

    Letters without digits count if there are 20 or more and they change case often.
    """
    if len(value) < 12 or is_placeholder(value) or _reads_as_words(value):
        return False
    kinds = [_kind(character) for character in value]
    changes = sum(a != b for a, b in pairwise(kinds))
    if "d" not in kinds:
        return len(value) >= 20 and changes >= len(value) / 4 and _entropy(value) > 3.5
    return changes >= max(4, len(value) / 8) and _entropy(value) > 2.8 and kinds.count("d") < len(value)


def _is_strong(value: str) -> bool:
    """Return whether a value looks like a real password.

    It has at least 8 characters with a digit and two of lower case, upper case and symbol. Or it has no digit, but at
    least 10 characters with lower and upper case that are not words.
    """
    kinds = {_kind(character) for character in value}
    if "d" in kinds:
        return len(value) >= 8 and len(kinds) >= 3
    return len(value) >= 10 and {"l", "u"} <= kinds and not _reads_as_words(value)


def _reads_as_words(value: str) -> bool:
    """Return whether a value is a name (`tokenV2`, `access-token-2019`, `MY_TOKEN`): at least half of it is words."""
    part = _PART_OF_WORD if any(map(str.islower, value)) else _PART_OF_CONSTANT
    return _NAME.fullmatch(value) is not None and sum(map(len, part.findall(value))) >= len(value) / 2


def _has_symbol(value: str) -> bool:
    return any(not character.isalnum() and character not in "._-/" for character in value)


def _kind(character: str) -> str:
    return "d" if character.isdigit() else "u" if character.isupper() else "l" if character.islower() else "s"


def _entropy(value: str) -> float:
    """Return the entropy in bits per character."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
