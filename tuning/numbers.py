"""Write numbers with the digits of their kind, so that a number looks the same in terminal, report, card and site."""

from collections.abc import Mapping

# Decimal places by metric or measure; 1 for all others. "points" are those of a verdict's sentence.
_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(("loss", "token_loss", "length_ratio", "drift"), 3),
    **dict.fromkeys(("development_loss", "development_loss_before", "development_margin", "development_accuracy"), 3),
    "perplexity": 2,
    "points": 0,
}


def digits_of(kind: str) -> int:
    """Return the number of decimal places of a metric or measure."""
    return _DIGITS.get(kind, 1)


def number_of(kind: str, number: float, *, sign: bool = False) -> str:
    """Return a number of a metric or measure as text.

    With `sign`, a positive number has a plus. 0 has no sign, because +0 reads like a gain.
    """
    text = f"{number:{'+' if sign else ''},.{digits_of(kind)}f}"
    return text if text.strip("+-0.") else text.lstrip("+-")
