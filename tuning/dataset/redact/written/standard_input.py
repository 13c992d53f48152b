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
    "password-stdin": re.compile("(?P<plain>password-stdin)"),
    "passphrase-fd": re.compile("(?P<plain>passphrase-fd[ =]0)"),
    "kinit": re.compile(r"(?P<plain>\bkinit\b)"),
    "cryptsetup": re.compile(r"(?P<plain>\bcryptsetup\b)"),
    "passwd": re.compile(
        rf"(?P<plain>(?<![\w.])(?<!/etc/)passwd{_OPTION}--stdin\b)|(?<![\w.])(?<!/etc/)passwd\b(?![=(.])|(?<=smb)passwd\b"
        r"|(?<=vnc)passwd[ \t]+-f"
    ),
    "su -": re.compile(r"\bsu -"),
}
_PIPED = re.compile(
    r"\b(?:echo|printf)\b(?P<shown>(?>\"[^\"\n]{0,200}\"|'[^'\n]{0,200}'|\\\r?\n|[^\n|]){1,300})"
    r"\|(?:[ \t]|\\?\r?\n){0,80}+(?:(?:sudo|docker|podman|kubectl|ssh|chroot|gpg|su)\b[^\n|;&]{0,80}?)?[\w/]{0,20}\Z"
)
_GIVEN = re.compile(r"[^\n|;<`]{0,200}?<(?:<<[ \t]{0,3}|[ \t]{0,3}<\([ \t]{0,3}(?:echo|printf)[ \t]{1,3})")
_DOCUMENT = re.compile(
    r"<<[-~]?[ \t]{0,3}(?P<around>[\\\"']?)(?P<end>[A-Za-z_]\w{0,20})[^\n]{0,200}\r?\n"
    r"(?P<lines>(?:[^\n]{0,300}\n){1,20}?)[ \t]{0,20}(?P=end)\b"
)
_IN_PYTHON = re.compile(
    r"[\s\S]{0,300}?(?:\binput\s?=\s?|\.communicate\((?:input\s?=\s?)?|\bstdin\.write\(|\bstdin:[ \t]*)"
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
    if piped := _PIPED.search(text[first : reader.start()]):
        yield first + piped.start("shown"), first + piped.end("shown")
    if given := _GIVEN.match(text, reader.end()):
        yield _whole(text, given.end())
    line = text.rfind("\n", first, reader.start()) + 1
    end_of_line = reader.end() + len(text[reader.end() : reader.end() + 300].partition("\n")[0])
    here = text.rfind("<<", first if is_pair else line, end_of_line)
    if here >= 0 and (document := _DOCUMENT.match(text, here)):
        yield document.span("lines")
    if reader.lastgroup and (program := _IN_PYTHON.match(text, reader.end())):
        yield _whole(text, program.end())
    if is_pair and (config := _CLOUD_CONFIG.match(text, reader.end())):
        yield config.span("lines")


def _whole(text: str, start: int) -> Span:
    """Return the place of the string or the word that begins at `start`."""
    pieces, _ = read_string(text, start)
    if pieces:
        return pieces[0][0], pieces[-1][1]
    word = _WORD.match(text, start)
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
