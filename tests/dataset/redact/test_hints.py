"""Test that no sieve holds back what a search behind it finds."""

import functools
import random
import re
import string
from collections.abc import Callable, Iterable, Set
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from tests.dataset import planted
from tests.dataset.redact import new_places, planted_places, written_places
from tuning.dataset.redact.addresses import emails, ip_addresses
from tuning.dataset.redact.calls import passwords_in_calls
from tuning.dataset.redact.commands import passwords_in_commands
from tuning.dataset.redact.hints import OF_CALLS, OF_NAMED_PASSWORDS, OF_PHONES, hints_in
from tuning.dataset.redact.passwords import passwords, passwords_in_urls
from tuning.dataset.redact.paths import names_in_paths
from tuning.dataset.redact.phones import phone_numbers
from tuning.dataset.redact.providers import RULES, Rule, rules_for

ALL = OF_NAMED_PASSWORDS | OF_CALLS | OF_PHONES | {"typed text", "compared string", "table"}
SEARCHES: list[tuple[Set[str], Callable[[str, str], Iterable[object]]]] = [
    ({"URL with password"}, lambda text, lower: passwords_in_urls(text)),
    (OF_NAMED_PASSWORDS, lambda text, lower: passwords(text, lower, ALL)),
    (OF_CALLS, lambda text, lower: passwords_in_calls(text, lower, ALL)),
    ({"command", "login"}, passwords_in_commands),
    ({"email"}, lambda text, lower: emails(text)),
    ({"IP address"}, lambda text, lower: ip_addresses(text)),
    ({"path"}, names_in_paths),
    (set(OF_PHONES), lambda text, lower: phone_numbers(text, lower, ALL)),
]

CONTEXT = "Fernet aws"  # two rules apply only to texts with these words


@pytest.mark.parametrize("number", range(len(SEARCHES)))
def test_a_text_in_which_a_search_finds_something_has_its_hint(number: int) -> None:
    hints, search = SEARCHES[number]
    rng = random.Random(5)  # noqa: S311 - the same draw each time
    texts = [text for _, text, _ in (*planted.positives(rng, 4), *planted_places.positives(rng, 4))]
    templates = (*new_places.GO, *written_places.ON_STANDARD_INPUT, *written_places.IN_MARKUP, *written_places.RAW)
    texts += [template.replace("§", "Kx93" + "mQvT7z") for template in templates]
    texts += [f"{address} /home/{name}/x" for address in new_places.ADDRESSES for name in new_places.NAMES]
    texts += [text.swapcase() for text in texts] + [text.replace(" ", "\u3000") for text in texts]
    found = [text for text in texts if list(search(text, text.lower()))]
    assert len(found) >= 5
    assert [text for text in found if not hints & hints_in(text)[0]] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind} {rule.sign}")
def test_a_text_that_a_rule_matches_has_its_sign(rule: Rule) -> None:
    rng = random.Random(6)  # noqa: S311 - the same draw each time
    parsed = _parser.parse(rule.pattern.pattern)
    drawn = [f"{CONTEXT} {_drawn(parsed, rng)} -" for _ in range(50)]
    texts = [text for text in drawn if rule.pattern.search(text)]
    assert len(texts) >= 5
    assert "provider" in hints_in(texts[0])[0]
    assert [text for text in texts if rule not in rules_for(text)] == []


def _drawn(parsed: Any, rng: random.Random) -> str:
    """Return a text that a parsed pattern may match. Lookarounds are ignored."""
    return "".join(_piece(str(kind), value, rng) for kind, value in parsed)


def _piece(kind: str, value: Any, rng: random.Random) -> str:
    match kind:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return rng.choice([char for char in string.printable if ord(char) != value])
        case "IN":
            return rng.choice(_class(tuple(value)))
        case "BRANCH":
            return _drawn(rng.choice(value[1]), rng)
        case "SUBPATTERN":
            return _drawn(value[3], rng)
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, most, content = value
            return "".join(_drawn(content, rng) for _ in range(rng.randint(least, min(most, least + 3))))
        case "ASSERT" | "ASSERT_NOT":
            return ""
    raise ValueError(kind)


@functools.cache
def _class(items: tuple[tuple[Any, Any], ...]) -> list[str]:
    negate = str(items[0][0]) == "NEGATE"
    return [char for char in string.printable if any(_fits(*one, char) for one in items[negate:]) != negate]


def _fits(kind: Any, value: Any, char: str) -> bool:
    match str(kind):
        case "LITERAL":
            return ord(char) == value
        case "RANGE":
            return value[0] <= ord(char) <= value[1]
        case "CATEGORY":
            return re.match(_CATEGORIES[str(value)], char) is not None
    raise ValueError(kind)


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_SPACE": r"\s", "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip
