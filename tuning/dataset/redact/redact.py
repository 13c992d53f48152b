"""Find personal data and secrets in a text and replace them by placeholders.

Where code can look like a secret, precision is more important than recall. These remain unchanged: decorators, matrix
products, versions, private IP addresses, addresses reserved for documentation, placeholders (`YOUR_API_KEY`, `xxx`),
checksums and UUIDs, names of roles and machines in paths, numbers in code.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from tuning.dataset.redact.addresses import emails, ip_addresses
from tuning.dataset.redact.calls import passwords_in_calls
from tuning.dataset.redact.commands import passwords_in_commands
from tuning.dataset.redact.decoded import Decoded, without_entities, without_escapes
from tuning.dataset.redact.hints import OF_CALLS, OF_NAMED_PASSWORDS, OF_PHONES, Hints, hints_in
from tuning.dataset.redact.own_rules import OwnRule
from tuning.dataset.redact.passwords import passwords, passwords_in_urls
from tuning.dataset.redact.paths import names_in_paths
from tuning.dataset.redact.phones import phone_numbers
from tuning.dataset.redact.providers import rules_for
from tuning.dataset.redact.values import is_placeholder


class Secret(NamedTuple):
    """Represent the place and the kind of a secret in a text."""

    kind: str  # for example "EMAIL"
    start: int
    end: int  # exclusive, in characters
    placeholder: str = ""  # "": the kind in angle brackets, such as `<EMAIL>`


def redact(text: str, rules: Sequence[OwnRule] = (), is_html: bool = False) -> tuple[str, tuple[str, ...]]:
    """Replace each secret by a placeholder such as `<EMAIL>`.

    A second name in the paths of a text becomes `<NAME_2>`, so that paths of two people stay apart. Returns the text
    and the kinds of the secrets in text order. A redaction never includes the backticks that end a code block.
    `is_html` says that the text has entities. Raises TuningError if one of the given rules matches too often.
    """
    secrets = find_secrets_in_html(text, rules) if is_html and "&" in text else find_secrets(text, rules)
    if not secrets:
        return text, ()
    pieces, end = [], 0
    names: dict[str, int] = {}
    for secret in secrets:
        placeholder = secret.placeholder or f"<{secret.kind}>"
        if secret.kind == "NAME":
            number = names.setdefault(text[secret.start : secret.end], len(names) + 1)
            placeholder = placeholder if number == 1 else f"<NAME_{number}>"
        pieces += [text[end : secret.start], placeholder]
        end = secret.end
    return "".join(pieces) + text[end:], tuple(secret.kind for secret in secrets)


def find_secrets(text: str, rules: Sequence[OwnRule] = ()) -> list[Secret]:
    """Return all secrets in text order. If two kinds overlap, only the more specific one is returned.

    Raises TuningError if one of the given rules matches too often.
    """
    secrets: list[Secret] = []
    for secret in _candidates(text, rules):
        place = bisect_left(secrets, secret.start, key=_START)
        is_free = place == 0 or secrets[place - 1].end <= secret.start
        if is_free and (place == len(secrets) or secret.end <= secrets[place].start):
            secrets.insert(place, secret)
    return secrets


_START = attrgetter("start")


def find_secrets_in_html(body: str, rules: Sequence[OwnRule] = ()) -> list[Secret]:
    """Return all secrets of an HTML body. They are found in its text without entities such as `&quot;`."""
    decoded = without_entities(body)
    return _in_original(decoded, find_secrets(decoded.text, rules))


def _in_original(decoded: Decoded, secrets: Iterable[Secret]) -> list[Secret]:
    return [Secret(one.kind, *decoded.span(one.start, one.end), one.placeholder) for one in secrets]


# Each secret that a rule of `providers.py` finds contains a run of at least 20 of these characters. The run includes
# a digit, unless it is a token of Hugging Face, and is not only words and numbers.
_LONG_RUN = re.compile(r"[A-Za-z0-9_+%-]{20,}")
_DIGIT = re.compile("[0-9]")
_WORDS_AND_NUMBERS = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]{1,9})(?:[-_](?:[A-Z]?[a-z]+|[A-Z]+|[0-9]{1,9}))+[-_]*")


def _candidates(text: str, rules: Sequence[OwnRule]) -> Iterator[Secret]:
    """Yield possible secrets, the most specific kinds first."""
    for rule in rules:
        for start, end in rule.find(text):
            yield Secret(rule.name, start, end, rule.placeholder)
    hints, lower = hints_in(text)
    if "escaped sign" in hints:
        decoded = without_escapes(text)
        yield from _in_original(decoded, _of_text(decoded.text, *hints_in(decoded.text)))
    if hints:
        yield from _of_text(text, hints, lower)


def _of_text(text: str, hints: Hints, lower: str) -> Iterator[Secret]:
    if "provider" in hints:
        longest = max((len(run) for run in _LONG_RUN.findall(text) if _may_be_secret(run)), default=0)
        if longest:
            yield from _of_providers(text, longest)
    if "URL with password" in hints:
        yield from _spans("PASSWORD", passwords_in_urls(text))
    if hints & OF_NAMED_PASSWORDS:
        for kind, start, end in passwords(text, lower, hints):
            yield Secret(kind, start, end)
    if hints & OF_CALLS:
        yield from _spans("PASSWORD", passwords_in_calls(text, lower, hints))
    if "command" in hints or "login" in hints:
        yield from _spans("PASSWORD", passwords_in_commands(text, lower))
    if "email" in hints:
        yield from _spans("EMAIL", emails(text))
    if "IP address" in hints:
        yield from _spans("IP_ADDRESS", ip_addresses(text))
    if "path" in hints:
        yield from _spans("NAME", names_in_paths(text, lower))
    if hints & OF_PHONES:
        yield from _spans("PHONE", phone_numbers(text, lower, hints))


def _spans(kind: str, spans: Iterator[tuple[int, int]]) -> Iterator[Secret]:
    for start, end in spans:
        yield Secret(kind, start, end)


def _may_be_secret(run: str) -> bool:
    has_digit = _DIGIT.search(run) or "hf_" in run or "api_org_" in run
    return bool(has_digit) and not _WORDS_AND_NUMBERS.fullmatch(run) and not run.strip("+-").isdigit()


def _of_providers(text: str, longest_run: int) -> Iterator[Secret]:
    for rule in rules_for(text):
        if longest_run < rule.shortest_run:
            continue
        has_group = "secret" in rule.pattern.groupindex
        for match in rule.pattern.finditer(text):
            start, end = match.span("secret" if has_group else 0)
            is_part_of_word = not has_group and _WORD_BEFORE.search(text, max(0, start - 3), start)
            if rule.kind == "PRIVATE_KEY" or not (is_part_of_word or is_placeholder(text[start:end])):
                yield Secret(rule.kind, start, end)


# A match directly after a letter, digit, `-` or `_` is part of a longer word. Exceptions: `\n`, `\r`, `\t`, `bot`.
_WORD_BEFORE = re.compile(r"(?<!\\)(?<!bo)[A-Za-z0-9_-]\Z|\\[A-Za-mo-qsu-z0-9_-]\Z")
