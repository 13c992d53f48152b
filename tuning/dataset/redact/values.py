"""Tell real passwords and keys from placeholders, templates and names."""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Literal

from tuning.dataset.redact.addresses import reads_as_email

# "random": only values that look random. "strong": also strong passwords. "given": a call or command says that this is
# the password, so anything that is not a dummy counts.
Trust = Literal["random", "strong", "given"]

_PLACEHOLDER = re.compile(
    r"x{4}|X{4}|\*{3}|\.{3}|…|#{3}|-{3}|_{3}|(?i:your|example|sample|dummy|placeholder|change_?me|replace|redacted|removed|"
    r"foobar|not_?real|fake|pass_?w(?:or)?d|passphrase|contrase|senha|парол|密码|パスワード|mot_?de_?passe|wachtwoord|"
    r"has[lł]o|passwort|kennwort|123456|abcdef|qwert|asdf|0{7}|my_?(?:api|secret|token|key|pass)|"
    r"(?:api|secret|access|auth)_?(?:key|token)|_here\b)"
)
# A variable, a format, a path, a URL or a call: the program fills in the real value when it runs.
_TEMPLATE = re.compile(r"\$[{(A-Z]|[{}<>]|%\w?\(|%[sdr]\b|(?<!\\)\\[ux]|^[/.~]|://|^[\w.-]+\(")
_WHOLE_TEMPLATE = re.compile(r".*\{.*\}.*|[%$]?(?:\[.*\]|\(.*\)|<.*>)s?|\$\w+|%[A-Z_\d]+%|%(?:\(\w*\))?[sdr]")
_NAME = re.compile(r"[A-Za-z]+\d{0,4}(?:[._/:-][A-Za-z]*\d{0,4})*")
_PART_OF_WORD = re.compile("[a-z]{3,}")
_PART_OF_CONSTANT = re.compile("[A-Z]{3,}(?=[_-]|$)")

# A value that is made of these words, and of digits and symbols after them, is a dummy: `my_password`, `test123!`.
# Longer words come first, because the group takes the first word that fits and never tries another.
_DUMMY_WORDS = (
    "authentication username password sendgrid database postgres anonymous localhost recipient firstname application "
    "nickname passcode lastname receiver postgre someone account address company default example foobar welcome "
    "changeme letmein invalid correct service private article neo4j sqlite oracle server client apikey secret sender "
    "string public passwd random access sample number simple domain author empty admin guest hello world login email "
    "gmail mysql mongo redis value dummy token query super valid wrong fake user test name demo root host pass pswd "
    "mail pwrd auth code text here some your null none true blah temp port data this that real long very safe site "
    "toor foo bar baz qux abc xyz pwd psw key api app web the new old usr not for and one two any dev sys ftp ssh sql "
    "pw id db my me is in to of or an un xx it x"
)
_DUMMY = re.compile(rf"[\W\d_]*(?:(?>{'|'.join(_DUMMY_WORDS.split())})s?[\W\d_]*)+", re.IGNORECASE)
_APP_PASSWORD = re.compile("[a-z]{4}(?: [a-z]{4}){3}")
_WORDS_OF_MESSAGES = (
    "this that must have with your here word pass text from need some code user name type same only also into when "
    "then will does over more than open data used main show test file them they what like make mail auth real very"
)
_COMMON_WORDS = frozenset(_WORDS_OF_MESSAGES.split())
_LEET = str.maketrans("@03$54!1", "aoessaii")
_SEQUENCES = (
    "01234567890123456789",
    "09876543210987654321",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
)


def is_password(value: str, trust: Trust) -> bool:
    """Return whether a value is a real password or key, and not a placeholder, a template, a name or an email address.

    `trust` says how much the surrounding text already proves.
    """
    if " " in value:
        return trust != "random" and is_app_password(value)
    if trust == "given":
        return _is_given(value)
    if is_placeholder(value) or reads_as_email(value):
        return False
    is_long_key = trust == "random" and len(value) >= 40 and "://" not in value and value[0] not in "/~."
    if _TEMPLATE.search(value) and not (is_long_key and not _WHOLE_TEMPLATE.fullmatch(value)):
        return False
    return is_random(value) or (trust == "strong" and _is_strong(value))


def is_app_password(value: str) -> bool:
    """Return whether a value is an app password of Google: four groups of four letters that are no common words."""
    if not _APP_PASSWORD.fullmatch(value):
        return False
    joined = value.replace(" ", "")
    return not (set(value.split()) & _COMMON_WORDS or is_placeholder(joined) or is_dummy(joined))


def is_placeholder(value: str) -> bool:
    """Return whether a value is only a placeholder: a known word, repeated characters or a keyboard sequence."""
    return _PLACEHOLDER.search(value) is not None or len(set(value)) < min(8, 0.6 * len(value))


def is_dummy(value: str) -> bool:
    """Return whether a value is made of dummy words such as `my_password`, `test123!` and `p@ssw0rd`, or a sequence."""
    if _DUMMY.fullmatch(value) or any(value.lower() in sequence for sequence in _SEQUENCES):
        return True
    stem = value.rstrip("0123456789!@#$%^&*.,_-?")
    return len(value) <= 12 and _DUMMY.fullmatch(stem.translate(_LEET)) is not None


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


def has_symbol(value: str) -> bool:
    """Return whether a value has a character that names do not have."""
    return any(not character.isalnum() and character not in "._-/" for character in value)


def is_mixed(value: str) -> bool:
    """Return whether a value changes between digits, lower case, upper case and symbols at every second character."""
    kinds = [_kind(character) for character in value]
    return "d" in kinds and 2 * sum(a != b for a, b in pairwise(kinds)) >= len(value)


def _is_given(value: str) -> bool:
    """Return whether a value that stands where a password must stand is not a dummy."""
    if not 4 <= len(value) <= 200 or len(set(value)) < 3 or any(map(str.isspace, value)):
        return False
    if _WHOLE_TEMPLATE.fullmatch(value) or "://" in value or value[0] in "/~" or value.startswith(("./", "--")):
        return False
    if _PLACEHOLDER.search(value) or is_dummy(value) or reads_as_email(value):
        return False
    is_word = value.isalpha() and (value.islower() or value.isupper() or value.istitle())
    return not (is_word and len(value) < 6)


def _is_strong(value: str) -> bool:
    """Return whether a value looks like a real password.

    It is not a dummy, and has at least 6 characters with a digit and a letter. Or it has no digit, but has at least 10
    characters with lower and upper case that are not words.
    """
    kinds = {_kind(character) for character in value}
    if "d" in kinds:
        return len(value) >= 6 and bool(kinds & {"l", "u"}) and not is_dummy(value)
    return len(value) >= 10 and {"l", "u"} <= kinds and not _reads_as_words(value)


def _reads_as_words(value: str) -> bool:
    """Return whether a value is a name (`tokenV2`, `access-token-2019`, `MY_TOKEN`): at least half of it is words."""
    part = _PART_OF_WORD if any(map(str.islower, value)) else _PART_OF_CONSTANT
    return _NAME.fullmatch(value) is not None and sum(map(len, part.findall(value))) >= len(value) / 2


def _kind(character: str) -> str:
    return "d" if character.isdigit() else "u" if character.isupper() else "l" if character.islower() else "s"


def _entropy(value: str) -> float:
    """Return the entropy in bits per character."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
