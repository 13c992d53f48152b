"""Find passwords that a command reads from its standard input: `echo user:… | chpasswd`, `sudo -S <<< …`."""

import re
from collections.abc import Iterator

from tuning.dataset.redact.hints import starts
from tuning.dataset.redact.values import is_password
from tuning.dataset.redact.written.pieces import Span, read_string

# Commands that read a password or, like chpasswd, lines of `user:password`. In a program, the first ones read it.
_OPTION = r"[\s\"',]{1,4}(?:[^\n|;&<]{0,40}?[\s\"',])?"
_READERS = {
    "chpasswd": re.compile(r"(?P<pairs>chpasswd\b)"),
    "sudo": re.compile(rf"(?P<plain>\bsudo{_OPTION}(?:-\w{{0,3}}S\b|--stdin\b))"),
    "stdin": re.compile(r"(?P<plain>(?:(?<=password[_-])|(?<=passwd-on-))stdin\b)"),
    "passphrase-fd": re.compile("(?P<plain>passphrase-fd[ =]0)"),
    "vault-pass": re.compile(r"(?P<plain>vault-pass(?:word)?-file[ =](?:/dev/stdin|/bin/cat|-)(?![\w/.]))"),
    "openssl": re.compile(r"(?P<plain>\bopenssl\b[^\n|;&<]{1,120}?[ \"']-(?:pass(?:in|out)?[ \"',]{1,4})?stdin\b)"),
    "mysql_config_editor": re.compile(r"(?P<plain>mysql_config_editor set\b)"),
    "kinit": re.compile(r"(?P<plain>\bkinit\b)"),
    "cryptsetup": re.compile(r"(?P<plain>\bcryptsetup\b)"),
    "passwd": re.compile(
        rf"(?P<plain>(?<![\w.])(?<!/etc/)passwd{_OPTION}--stdin\b|(?<=\bht)passwd{_OPTION}-[a-zA-Z]{{0,6}}i)"
        r"|(?<![\w.])(?<!/etc/)passwd\b(?![=(.])|(?<=smb)passwd\b|(?<=vnc)passwd[ \t]+-f"
    ),
    "su -": re.compile(r"\bsu -"),
}
_BLANKS = r"(?:[ \t]|\\?\r?\n){0,80}+"
# What stands between the last `|` and a command that reads.
_BEFORE_READER = re.compile(
    rf"&?{_BLANKS}"
    r"(?:[^\n;&]{0,100}(?:--|-o[ \t]{1,3}password_|--pass(?:word|wd-on)-)"
    r"|(?:(?:sudo|docker|podman|kubectl|ssh|chroot|gpg|su|busybox|toybox)\b[^\n;&]{0,80}?)?[\w/]{0,20})\Z"
)
# What `echo` shows can go through other commands, and through a file.
_SHOWS = re.compile(r"\b(?:echo|printf|yes)\b")
_SHOWN = r"(?P<shown>(?>\"[^\"\n]{0,200}\"|'[^'\n]{0,200}'|\\\r?\n|[^\n|]){1,300})"
_PASSES_ON = r"(?:sudo[ \t]{1,9})?(?:cat|cut|head|iconv|sed|tail|tee|tr)\b(?>\\\r?\n|[^\n|;]){0,100}"
_PIPED = re.compile(rf"{_SHOWN}(?:\|&?{_BLANKS}{_PASSES_ON}){{0,4}}\Z")
_SAVED = re.compile(_SHOWN.replace(r"[^\n|]", r"[^\n|>]") + r"\Z")
_FILE = r"[ \t]{0,9}[\"']?(?P<file>[\w./~$-]{1,80})"
_TO_FILE = re.compile(">{1,2}" + _FILE)
_FROM_FILE = re.compile(r"[^\n|;<`]{0,100}?<(?!/\w{1,10}>)" + _FILE)
_CAT = re.compile(rf"\bcat{_FILE}[\"']?[ \t]{{0,9}}\Z")
_GIVEN = re.compile(r"[^\n|;<`]{0,200}?<(?:<<[ \t]{0,3}|[ \t]{0,3}<\([ \t]{0,3}(?:echo|printf)[ \t]{1,3})")
_DOCUMENT = re.compile(
    r"<<[-~]?[ \t]{0,3}(?P<around>[\\\"']?)(?P<end>[A-Za-z_]\w{0,20})[^\n]{0,200}\r?\n"
    r"(?P<lines>(?:[^\n]{0,300}\n){1,20}?)[ \t]{0,20}(?P=end)\b"
)
_IN_PYTHON = re.compile(
    r"[\s\S]{0,300}?(?:\binput\s?=\s?|\.communicate\((?:input\s?=\s?)?|\bstdin\.write\(|(?P<key>\bstdin:[ \t]*))"
)
_CLOUD_CONFIG = re.compile(r":[ \t]*\r?\n(?P<lines>(?:[ \t]+[^\n]{0,300}(?:\n|\Z)){1,20})")
_PAIR = re.compile(
    r"(?<![\w:/.-])(?:[\w.@-]{1,60}|\$\{?\w{1,40}\}?|\{\w{0,30}\}|%s)[\"']?:[\"']?"
    r"(?P<secret>(?>\\[\"'`$](?=[^\s|]{3})|[^\s\"'`\\;<]|<(?!/)|;(?=\S)|(?<=\w)[\"'](?=\w)){4,200})"
)
_WORD = re.compile(r"(?<!\\)(?>\\[\"'`$]|[^\s\"'`\\;()<]|<(?!/)|(?<=\w)[\"'](?=\w))+")
_OF_SHELL = re.compile(r"(?:-\w{1,2}|echo|printf|%s.{0,6})")


def passwords_on_standard_input(text: str, lower: str) -> Iterator[Span]:
    """Yield the places of passwords that a pipe, a here-string, a here-document or a program gives to a command.

    `lower` is the text in lower case.
    """
    for word, pattern in _READERS.items():
        for place in starts(lower, word):
            if reader := pattern.match(text, place):
                is_pair = "pairs" in pattern.groupindex
                for start, end in _given_to(text, reader, is_pair):
                    yield from _pairs(text, start, end) if is_pair else _words(text, start, end)


def _given_to(text: str, reader: re.Match[str], is_pair: bool) -> Iterator[Span]:
    """Yield the places of what the command reads."""
    first = max(0, reader.start() - 500)
    file = _FROM_FILE.match(text, reader.end())
    pipe = text.rfind("|", first, reader.start())
    if pipe >= 0 and _BEFORE_READER.fullmatch(text, pipe + 1, reader.start()):
        yield from _shown_before(text, pipe, _PIPED)
        file = file or _CAT.search(text, max(0, pipe - 100), pipe)
    if file:
        written = [one.start() for one in _TO_FILE.finditer(text, first, file.start()) if one["file"] == file["file"]]
        for place in written[-3:]:
            yield from _shown_before(text, place, _SAVED)
    if given := _GIVEN.match(text, reader.end()):
        yield _whole(text, given.end())
    line = max(first, text.rfind("\n", first, reader.start()) + 1)
    end_of_line = reader.end() + len(text[reader.end() : reader.end() + 300].partition("\n")[0])
    here = text.rfind("<<", first if is_pair else line, end_of_line)
    if here >= 0 and (document := _DOCUMENT.match(text, here)):
        yield document.span("lines")
    if reader.lastgroup and (program := _IN_PYTHON.match(text, reader.end())):
        yield _whole(text, program.end(), may_be_bare=program["key"] is not None)
    if is_pair and (config := _CLOUD_CONFIG.match(text, reader.end())):
        yield config.span("lines")


def _shown_before(text: str, end: int, pattern: re.Pattern[str]) -> Iterator[Span]:
    """Yield the places of what `echo`, `printf` or `yes` shows, where the pattern matches from there to `end`."""
    for shows in list(_SHOWS.finditer(text, max(0, end - 500), end))[-4:]:
        if match := pattern.match(text, shows.end(), end):
            yield match.span("shown")


def _whole(text: str, start: int, may_be_bare: bool = True) -> Span:
    """Return the place of the string, or of the word without quotes, that begins at `start`."""
    pieces, _ = read_string(text, start)
    if pieces:
        return pieces[0][0], pieces[-1][1]
    word = _WORD.match(text, start) if may_be_bare else None
    return word.span() if word else (start, start)


def _pairs(text: str, start: int, end: int) -> Iterator[Span]:
    found = [match.span("secret") for match in _PAIR.finditer(text, start, end)]
    if ":%s" in text[start:end]:  # as in `printf '%s:%s\n' joe …`
        found += [word.span() for word in list(_WORD.finditer(text, start, end))[-1:] if "%s" not in word[0]]
    yield from (span for span in found if is_password(text[slice(*span)], "given"))


def _words(text: str, start: int, end: int) -> Iterator[Span]:
    r"""Yield the places of the only word, which can stand twice: `echo -e '…\n…' | passwd`."""
    words = [match.span() for match in _WORD.finditer(text, start, end)]
    words = [span for span in words if not _OF_SHELL.fullmatch(text[slice(*span)])]
    if len({text[slice(*span)] for span in words}) == 1 and is_password(text[slice(*words[0])], "given"):
        yield from words
