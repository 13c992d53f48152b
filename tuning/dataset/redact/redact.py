"""Personal data and secrets in a text, and the text without them.

Precision comes first where text and code look alike: a decorator, a matrix product, a version, a private address, an
address of documentation, a placeholder (`YOUR_API_KEY`, `xxx`), a checksum and a UUID stay as they are.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tuning.dataset.redact.addresses import emails, ip_addresses
from tuning.dataset.redact.passwords import is_placeholder, passwords
from tuning.dataset.redact.providers import RULES


class Secret(NamedTuple):
    kind: str  # such as "EMAIL"; `<EMAIL>` stands for it in a redacted text
    start: int
    end: int  # exclusive, in characters


def redact(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with a placeholder such as `<EMAIL>` for each secret, and the kind of each, in order of place.

    No redaction crosses a line of backticks, so that code blocks stay closed.
    """
    secrets = find_secrets(text)
    if not secrets:
        return text, ()
    pieces, end = [], 0
    for secret in secrets:
        pieces += [text[end : secret.start], f"<{secret.kind}>"]
        end = secret.end
    return "".join(pieces) + text[end:], tuple(secret.kind for secret in secrets)


def find_secrets(text: str) -> list[Secret]:
    """Every secret, in order of place, none overlapping. Where two kinds claim a place, the more specific has it."""
    found: list[Secret] = []
    for secret in _candidates(text):
        if all(secret.end <= other.start or other.end <= secret.start for other in found):
            found.append(secret)
    return sorted(found, key=lambda secret: secret.start)


# Every provider's secret holds a run of at least twenty such characters, a digit among them, that are not just words.
_LONG_RUN = re.compile(r"[A-Za-z0-9_+%-]{20,}")
_DIGIT = re.compile("[0-9]")
_WORDS_AND_NUMBERS = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]{1,9})(?:[-_](?:[A-Z]?[a-z]+|[A-Z]+|[0-9]{1,9}))+[-_]*")
_LEAST = b"x" * 20
_AS_RUN = bytes(ord("x" if _LONG_RUN.fullmatch(chr(code) * 20) else " ") for code in range(256))


def _long_runs(text: str) -> Iterator[str]:
    """What `_LONG_RUN` finds, ten times as fast: in a copy with "x" for every such character, " " for all others."""
    raw = text.encode("utf-8", "surrogatepass")
    as_run = raw.translate(_AS_RUN)
    end = 0
    while (start := as_run.find(_LEAST, end)) >= 0:
        end = as_run.find(b" ", start)
        yield raw[start : end if end >= 0 else None].decode()
        if end < 0:
            return


def _candidates(text: str) -> Iterator[Secret]:
    """The most specific first."""
    if any(_DIGIT.search(run) and not _WORDS_AND_NUMBERS.fullmatch(run) for run in _long_runs(text)):
        yield from _of_providers(text)
    for kind, start, end in passwords(text):
        yield Secret(kind, start, end)
    for start, end in emails(text):
        yield Secret("EMAIL", start, end)
    for start, end in ip_addresses(text):
        yield Secret("IP_ADDRESS", start, end)


def _of_providers(text: str) -> Iterator[Secret]:
    for rule in RULES:
        if not any(literal in text for literal in rule.literals):
            continue
        has_group = "secret" in rule.pattern.groupindex
        for match in rule.pattern.finditer(text):
            start, end = match.span("secret" if has_group else 0)
            goes_on = not has_group and _WORD_BEFORE.search(text, max(0, start - 3), start)
            if rule.kind == "PRIVATE_KEY" or not (goes_on or is_placeholder(text[start:end])):
                yield Secret(rule.kind, start, end)


# `\n`, `\t` and `bot` may stand before a secret; any other letter, digit, `-` or `_` makes it a part of a word.
_WORD_BEFORE = re.compile(r"(?<!\\)(?<!bo)[A-Za-z0-9_-]\Z|\\[A-Za-mo-qsu-z0-9_-]\Z")
