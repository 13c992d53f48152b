"""Find passwords that only their place in a call reveals, as in `login("joe", "…")` or `auth=("joe", "…")`."""

import re
from collections.abc import Iterator
from itertools import chain

from tuning.dataset.redact.arguments import Argument, positional, read_arguments, without_new_line
from tuning.dataset.redact.hints import Hints, starts
from tuning.dataset.redact.values import is_password
from tuning.dataset.redact.written.pieces import Pieces, Span, joined
from tuning.dataset.redact.written.strings import text_in

_CALL = re.compile(r"\(")
_LOGIN = re.compile(r"(?:_with_password)?\(|(?:_?(?:data|info|details))?[\"']?\]?\s{0,3}[=:]\s{0,3}[(\[](?P<pair>)")
_PAIR_OR_CALL = re.compile(
    r"(?:s|enti(?:al|als|cate|cation|cator)|_?(?:handler|provider))?"
    r"(?:[\"']?\]?\s{0,3}(?:=\s{0,3}[(\[]|:\s{0,3}\()(?P<pair>)|\()"
)
_CONNECT = re.compile(r"(?:_tls|host|ion)?\(")
_TYPE = re.compile(r"\.\s{0,4}(?:send_keys|fill|type|set_value|setValue|setText|set_text|press_sequentially)\(")
_FILL = re.compile(r"\.(?:fill|type|input_text|fill_in|set_value)\(")
_LIST = re.compile(r"(?:_?list)?[\"']?\]?\s{0,3}[=:]\s{0,3}(?:(?:np\.array|set|list|tuple|deque)\()?([\[({])")
_IN_LIST = re.compile(r"(?:_?list)?s?\s{1,3}in\s{1,3}([\[({])")
_APPEND = re.compile(r"(?:_?list)?\.(?:append|add|insert)\(")
# What stands before `auth…(` and `cred…(` in calls with a user and a password, unlike in `get_credentials(`.
_OF_PASSWORD = re.compile(
    r"(?:network|basic|digest|proxy|ntlm|plain|plaintext|password|pass|add|http)_?\Z|(?<![a-z_])\Z"
)
_REDIS = re.compile(r"\.(?:auth|(execute_command))\(")
_ORACLE = re.compile(r"oracle\w*\.\Z")
_WIFI = re.compile(r"(?<![a-z])(?:wlan\w{0,9}|wi_?fi\w{0,9}|wifi\.radio|sta|sta_if|nic|station)\.\Z")
_USER_AND_PASSWORD = re.compile(r"[^\s/@]{1,60}/([^\s@/]{1,200})@")  # of Oracle: user/password@host
_NAMES_USER = re.compile("(?i)user|login|uname|account")
_NAMES_PASSWORD = re.compile(r"(?i)passw|pwd|passphrase|passcode|(?<![a-z])(?:pass|pw|psw)(?![a-z])|\bpin\b")
_ELEMENT = re.compile(r"(\w{1,40})\Z")
_PROMPT = re.compile(
    r"(?:expect\w{0,10}|read_until|wait_for|until)\([^\n]{0,40}?(?:assw|passphrase)[^\n]{0,30}?\)"
    r"(?:(?!\b(?:expect|read_until))[\s\S]){0,100}?\b(?:sendline|send|write|send_command)\("
)
# By word: the hint that it is in a text, and which positional argument is the password.
_PLACES = {
    "username_pw_set": ("pw", 1), "create_superuser": ("call with password", 2),
    "create_user": ("call with password", 2), "yagmail.smtp": ("call with password", 1),
    "simple_bind_s": ("call with password", 1), "simple_bind": ("call with password", 1),
    "smbconnection": ("connect", 1), "httpnegotiateauth": ("auth", 1),
    "auth_password": ("auth", 1), "pass_": ("pass", 0), "wifi.begin": ("call with password", 1),
    "setpassword": ("call with password", 0), "extractall": ("call with password", 2),
    "make_password": ("_password", 0), "hash_password": ("_password", 0), "generate_password_hash": ("_password", 0),
    "check_password_hash": ("_password", 1), ".check_password": ("_password", 0), "hashpw": ("pw", 0),
}  # fmt: skip
_FORMATTED_PAIR = re.compile(r"(?:%s:%s|\{\}:\{\})[\"']\s{0,3}(?:%\s{0,3}|\.format)\(")
_USER_COLON_PASSWORD = re.compile(
    r"(?i)(?:b64encode\(|basic_auth[\"']?\s{0,3}[=:]\s{0,3})[bruf]{0,2}(?P<quote>[\"'])[^\s:\"'{}%]{1,60}:"
    rf"(?P<secret>{text_in('quote', '{}', '4,200')})(?P=quote)"
)
# Assignments to several names, as in `user, password = "joe", "…"`: the names before and after, and the assignment.
_NAMES_BEFORE = re.compile(r"(?P<open>[(\[]?)[ \t]*(?P<names>(?:[\w.]{1,40}[ \t]*,[ \t]*){0,5})[\w.]{0,30}\Z")
_END_OF_VALUES = re.compile(r"[\n`]|</|;?[ \t]+#|;[ \t]")
_PASSWORD_AT_END = re.compile(
    r"(?i)(?:passw(?:or)?d|passwort|pwd|passphrase|passcode|(?<![a-z])(?:pass|pw|psw))\d{0,2}\Z"
)
_NAME_IN_TUPLE = re.compile(r"[\w.]+")
_NAMES_AFTER = re.compile(
    r"[\w.]{0,30}(?P<names>(?:[ \t]*,[ \t]*[\w.]{1,40}){0,4})[ \t]*(?P<close>[)\]]?)[ \t]*=[ \t]*(?P<bracket>[(\[]?)"
    r"(?=[ \t]*[brufBRUF]{0,2}[\"'])"
)
_LISTS = ("passwords", "passwds", "pwds", "password_list", "passwordlist", "passwd_list", "pass_list", "passlist")
_NAMES = ("password", "passwd", "pwd", "pw")


def passwords_in_calls(text: str, lower: str, hints: Hints) -> Iterator[Span]:
    """Yield the places of passwords in calls, pairs of user and password, and lists of passwords."""
    for pieces in _candidates(text, lower, hints):
        if is_password(joined(text, pieces), "given"):
            yield from pieces
    if "pass" in hints or "pw" in hints:
        for pieces in chain(_assigned_together(text, lower), _in_brackets(text, lower)):
            if is_password(joined(text, pieces), "strong"):
                yield from pieces


def _candidates(text: str, lower: str, hints: Hints) -> Iterator[Pieces]:
    has_passw = "pass" in hints and "passw" in lower
    has_method = has_passw and "_password" in lower
    for is_possible, word, pattern in (
        ("login" in hints, "login", _LOGIN),
        (has_method, "set_password", _CALL),
        (has_method, "add_password", _CALL),
        ("auth" in hints, "auth", _PAIR_OR_CALL),
        ("cred" in hints, "cred", _PAIR_OR_CALL),
    ):
        for match in _after(lower, word, pattern) if is_possible else ():
            yield from _last(text, lower, word, match)
    for word, (hint, place) in _PLACES.items():
        is_possible = has_method if hint == "_password" else hint in hints
        for match in _after(lower, word, _CALL) if is_possible and word in lower else ():
            arguments = positional(read_arguments(text, match.end()))
            if len(arguments) > place and (string := arguments[place].string):
                yield string
    has_call, has_auth = "call with password" in hints, "auth" in hints
    if (has_call and ("b64encode" in lower or "encodestring" in lower)) or (has_auth and "basic_auth" in lower):
        for match in _USER_COLON_PASSWORD.finditer(text):
            yield (match.span("secret"),)
        for match in _FORMATTED_PAIR.finditer(text):
            arguments = positional(read_arguments(text, match.end()))
            if len(arguments) == 2 and (string := arguments[1].string):
                yield string
    for word in ("connect", "ftp"):
        for match in _after(lower, word, _CONNECT) if word in hints else ():
            yield from _third(text, lower, match)
    if "typed text" in hints and ("pass" in hints or "pw" in hints):
        yield from _typed(text)
    if (has_call or has_auth) and ("execute_command" in lower or "redis" in lower):
        yield from _of_redis(text, lower)
    if has_passw or "pw" in hints or "pass_" in lower or "passlist" in lower or "call with password" in hints:
        yield from _sent(text, lower)
        for words, pattern in ((_LISTS, _LIST), (_NAMES, _IN_LIST)):
            for word in words:
                for match in _after(lower, word, pattern) if word in lower else ():
                    yield from _listed(text, match, is_list_of_passwords=True)
        for word in _LISTS:
            for match in _after(lower, word, _APPEND) if word in lower else ():
                yield from (argument.string for argument in read_arguments(text, match.end()) if argument.string)
    for hint, word in (("cred", "credentials"), ("cred", "creds"), ("login", "logins")):
        for match in _after(lower, word, _LIST) if hint in hints else ():
            yield from _listed(text, match, is_list_of_passwords=False)


def _after(lower: str, word: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    for place in starts(lower, word):
        if match := pattern.match(lower, place + len(word)):
            yield match


def _last(text: str, lower: str, word: str, match: re.Match[str]) -> Iterator[Pieces]:
    """Yield the last positional argument, if it is a string and can be a password."""
    before = lower[max(0, match.start() - len(word) - 12) : match.start() - len(word)]
    is_pair = "pair" in match.re.groupindex and match["pair"] == ""
    if not is_pair and not _OF_PASSWORD.search(before) and word in ("auth", "cred"):
        return
    if word == "login" and before[-1:].isalpha():
        return
    arguments = positional(read_arguments(text, match.end()))
    if word == "login" and len(arguments) == 3 and _code(text, arguments[2]) in ("True", "False", "None"):
        del arguments[2]
    if len(arguments) >= (1 if word == "set_password" else 2) and (string := arguments[-1].string):
        yield string


def _third(text: str, lower: str, match: re.Match[str]) -> Iterator[Pieces]:
    """Yield the password of a call like `connect(host, user, password)`; a port can follow the host."""
    if lower.startswith("smbconnection", match.start() - len("smbconnect")):
        return
    arguments = positional(read_arguments(text, match.end()))
    if _ORACLE.search(lower, max(0, match.start() - 30), match.start() - len("connect")):
        place = 1
        if arguments and arguments[0].string and (both := _USER_AND_PASSWORD.match(text, *arguments[0].string[0])):
            yield (both.span(1),)
    else:
        is_wifi = len(arguments) == 2 and _WIFI.search(
            lower, max(0, match.start() - 40), match.start() - len("connect")
        )
        if is_wifi and (string := arguments[1].string):
            yield string
        place = 3 if len(arguments) > 3 and _code(text, arguments[1]).isdigit() else 2
    if len(arguments) > place and (string := arguments[place].string):
        user = arguments[place - 1]
        if user.string or _NAMES_USER.search(_code(text, user)):
            yield string


def _typed(text: str) -> Iterator[Pieces]:
    """Yield what is typed into a field for a password: by `element.send_keys("…")` and `fill("#password", "…")`."""
    for match in _TYPE.finditer(text):
        arguments = read_arguments(text, match.end())
        if arguments and arguments[0].string and _is_password_field(text, match.start()):
            yield without_new_line(text, arguments[0].string)
    for match in _FILL.finditer(text):
        arguments = read_arguments(text, match.end())
        if len(arguments) < 2 or not arguments[0].string or not arguments[1].string:
            continue
        if _NAMES_PASSWORD.search(text, *arguments[0].string[0]):
            yield arguments[1].string


def _of_redis(text: str, lower: str) -> Iterator[Pieces]:
    """Yield the password of `r.auth("…")` and of `execute_command("AUTH", "…")`, which may follow a user's name."""
    for match in _REDIS.finditer(lower):
        arguments = positional(read_arguments(text, match.end()))
        is_login = bool(arguments) and "auth" in _code(text, arguments[0]).lower() if match[1] else len(arguments) == 1
        if is_login and (string := arguments[-1].string):
            yield string


def _sent(text: str, lower: str) -> Iterator[Pieces]:
    """Yield what is sent after a program has asked for a password, as pexpect and telnetlib do."""
    if "expect" in lower or "until" in lower or "wait_for" in lower:
        for match in _PROMPT.finditer(lower):
            for argument in read_arguments(text, match.end())[:1]:
                if argument.string:
                    yield without_new_line(text, argument.string)


def _is_password_field(text: str, end: int) -> bool:
    """Return whether the element before `end` is a field for a password, by its name or by how it was found."""
    start = max(text.rfind("\n", 0, end) + 1, end - 200)
    if _NAMES_PASSWORD.search(text, start, end):
        return True
    element = _ELEMENT.search(text, max(0, end - 40), end)
    if element is None or element[1].isdigit():
        return False
    before = text[max(0, end - 1000) : element.start()]
    found = re.findall(rf"(?<![\w.]){element[1]}[ \t]{{0,3}}=(?!=)([^\n]*)", before)
    return bool(found) and _NAMES_PASSWORD.search(found[-1]) is not None


def _listed(text: str, match: re.Match[str], is_list_of_passwords: bool) -> Iterator[Pieces]:
    """Yield the strings of a list of passwords, the values of a dictionary, and the second of pairs."""
    is_braced = match[1] == "{"
    items = read_arguments(text, match.end(), separators=",:" if is_braced else ",", limit=2_000)
    is_dictionary = is_braced and any(item.after == ":" for item in items)  # else a set
    for item in items:
        if item.string and (item.after == ":" if is_dictionary else is_list_of_passwords):
            yield item.string
        elif not is_dictionary and text[item.start] in "([":
            pair = read_arguments(text, item.start + 1)
            if len(pair) == 2 and pair[1].string:
                yield pair[1].string


def _in_brackets(text: str, lower: str) -> Iterator[Pieces]:
    """Yield the strings of a list whose name is that of one password, as in `password = ["…"]`."""
    for word in _NAMES:
        for match in _after(lower, word, _LIST) if word in lower else ():
            yield from _listed(text, match, is_list_of_passwords=match[1] in "[(")


def _assigned_together(text: str, lower: str) -> Iterator[Pieces]:
    """Yield the strings that are assigned to names of passwords together with others: `user, pw = "joe", "…"`."""
    for word in ("pass", "pw"):
        for place in starts(lower, word):
            after = _NAMES_AFTER.match(text, place + len(word))
            before = _NAMES_BEFORE.search(text, max(0, place - 200), place) if after else None
            if not after or not before or not (before["names"] or after["names"]):
                continue
            if bool(before["open"]) != bool(after["close"]):  # the arguments of a call
                continue
            names = _NAME_IN_TUPLE.findall(text, before.start("names"), after.end("names"))
            rest = text[after.end() : after.end() + 400]
            values = read_arguments(rest if after["bracket"] else _END_OF_VALUES.split(rest, 1)[0] + ")", 0)
            number = before["names"].count(",")
            if len(names) <= len(values) and not any(value.keyword for value in values[: len(names)]):
                string = values[number].string
                if string and _PASSWORD_AT_END.search(names[number]):
                    yield tuple((after.end() + start, after.end() + end) for start, end in string)


def _code(text: str, argument: Argument) -> str:
    return text[argument.start : argument.end].strip()
