"""Find passwords in XML: `<password>…</password>`, `<property name="password">…`, `<x name="password" value="…">`."""

import re

from tuning.dataset.redact.hints import FOREIGN_WORDS
from tuning.dataset.redact.values import is_password
from tuning.dataset.redact.written.pieces import Span

# Names of texts that a program shows.
_SHOWN = (
    "(?-i:(?<![a-zA-Z])|(?=[A-Z]))(?:error|invalid|incorrect|wrong|forgot|change|reset|hint|prompt|label|title|message|"
    "msg|enter|show|short|weak)(?-i:(?![a-z]))"
)
_NAME = (
    rf"(?![\w:.-]{{0,40}}?{_SHOWN})[\w:.-]{{0,40}}?"
    rf"(?:passw(?:or)?d|passphrase|passcode|passwort|pswd|psk|{FOREIGN_WORDS}|(?<![a-z])(?:pwd|pass|pw)|"
    r"(?-i:(?<=[a-z])(?:Pwd|Pass|Pw)))(?:[-_]?(?:text|value|\d))?"
)
_VALUE = (
    r"\s{0,80}(?:<(?:value|string|val)(?:\s[^<>]{0,80})?>\s{0,80}){0,2}"
    r"(?:<!\[CDATA\[\s{0,80}(?P<data>[^\s\]]{4,300})\s{0,80}\]\]>|(?P<value>[^\s<>]{4,300}))\s{0,80}</"
)
# Elements that hold a value under a name. What a link or a cell of HTML shows is no value.
_HOLDERS = (
    "property|entry|string|param(?:eter)?|setting|item|value|attribute|add|env|data|field|init-param|prop|var|arg"
)
_ELEMENT = re.compile(rf"(?i)<{_NAME}\s?(?:\s[^<>]{{0,300}})?(?<!/)>{_VALUE}")
_HOLDER = re.compile(
    rf"(?i)<(?:[\w-]{{1,20}}:)?(?:{_HOLDERS})\s(?:[^<>]{{0,200}}?\s)?(?:[\w-]{{1,20}}:)?(?:name|key|id)\s?=\s?[\"']"
    rf"{_NAME}[\"'][^<>]{{0,200}}(?<!/)>{_VALUE}"
)
_ATTRIBUTE = re.compile(
    r"(?i)<(?!button|label|select|[^<>]{0,200}?\stype\s?=\s?[\"']?(?:radio|checkbox|submit|button|reset))"
    rf"(?=(?:[\w:.-]{{1,40}}\s[^<>]{{0,200}}?\b(?:type|name|id|key)\s?=\s?[\"']?)?{_NAME}"
    r"(?:[-_]?(?:input|field|box|\d+))?(?![\w.-]))[^<>]{0,200}?\b(?:default)?value\s?=\s?"
    r"(?P<quote>[\"'])(?P<value>(?:(?!(?P=quote))[^\s<>]){4,200})(?P=quote)(?P<data>)"
)
# An element with a value follows an element with the name.
_NAME_AND_VALUE = re.compile(
    rf"(?i)<(?P<tag>key|id|(?:[\w-]{{1,20}}-)?name)>\s{{0,20}}{_NAME}\s{{0,20}}</(?P=tag)>\s{{0,80}}"
    rf"<[\w:.-]{{0,30}}?(?:value|val|string|data|text|content)>{_VALUE}"
)


def password_in_markup(text: str, place: int) -> Span | None:
    """Return the place of the password of the element or attribute with the name of a password at `place`, or None."""
    tag = text.rfind("<", max(0, place - 300), place)
    if tag < 0:
        return None
    is_in_tag = text.find(">", tag, place) < 0
    for pattern in (_ELEMENT, _HOLDER, _ATTRIBUTE) if is_in_tag else (_NAME_AND_VALUE,):
        if match := pattern.match(text, tag):
            start, end = match.span("value" if match["value"] else "data")
            return (start, end) if is_password(text[start:end], "strong") else None
    return None
