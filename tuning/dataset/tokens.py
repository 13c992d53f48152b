"""How many tokens a text takes: estimated in a microsecond for most, counted exactly where it matters.

The estimate is a weighted sum of bytes, words, digits and punctuation, fitted on a sample with the base model's own
tokenizer where that is a local folder. Without one it is a rule of thumb, and says so by having no error.
"""

import string
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tuning.errors import TuningError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# English prose takes about four bytes a token and code about three: https://ai.google.dev/gemini-api/docs/tokens.
# The smaller, so that a text is called long too early and never too late.
BYTES_PER_TOKEN = 3.0
_TOKENIZER_FILE = "tokenizer.json"


class TokenEstimator(msgspec.Struct, frozen=True, kw_only=True):
    """Plain values, so that it travels to a worker, which loads the tokenizer when it first counts.

    `error` is the difference of estimate and count, as a share of the count, that 95 of 100 texts of the sample's
    second half stay under (the weights were fitted on the first); None where nothing was counted. `margin` is twice
    the largest difference: an estimate nearer to a limit than that is replaced by the count.
    """

    tokenizer: Path | None = None  # a folder that holds tokenizer.json
    weights: tuple[float, float, float, float] = (1 / BYTES_PER_TOKEN, 0.0, 0.0, 0.0)  # per byte, word, digit, sign
    sample: int = 0
    error: float | None = None
    margin: float = 0.0

    def estimate(self, text: str) -> int:
        if self.tokenizer is None:
            return round(self.weights[0] * len(text.encode()))
        return round(sum(weight * size for weight, size in zip(self.weights, _sizes(text), strict=True)))

    def count(self, text: str) -> int:
        """The exact number; the estimate where there is no tokenizer."""
        if self.tokenizer is None:
            return self.estimate(text)
        return len(_load(self.tokenizer).encode(text, add_special_tokens=False).ids)

    def total(self, texts: Sequence[str], limit: int, extra: int = 0) -> int:
        """Tokens of all the texts and `extra`: exact where the estimate is near the limit, else the estimate."""
        estimate = extra + sum(map(self.estimate, texts))
        if self.tokenizer is None or abs(estimate - limit) > self.margin * limit:
            return estimate
        return extra + sum(map(self.count, texts))

    def recorded(self) -> dict[str, object]:
        """For the manifest: no path, numbers of four digits."""
        return {
            "tokenizer": self.tokenizer.name if self.tokenizer else "",
            "tokens_per_byte_word_digit_sign": [round(weight, 4) for weight in self.weights],
            "sample": self.sample,
            "error_95": None if self.error is None else round(self.error, 4),
            "counted_within": round(self.margin, 4),
        }


def calibrate(texts: Sequence[str], tokenizer: Path | None) -> TokenEstimator:
    """An estimator from a sample: a few hundred texts like those to be judged. The same sample gives the same numbers.

    Raises TuningError where the folder holds no tokenizer. Fewer than twenty texts that are not empty give the rule of
    thumb, with everything counted.
    """
    if tokenizer is None:
        return TokenEstimator()
    _load(tokenizer)
    texts = [text for text in texts if text.strip()]
    exact = TokenEstimator(tokenizer=tokenizer, margin=float("inf"))
    if len(texts) < 20:
        return exact
    counts = np.array([exact.count(text) for text in texts], dtype=np.float64)
    sizes = np.array([_sizes(text) for text in texts], dtype=np.float64)
    # Divided by the counts, so that the relative error is small for short texts as for long ones.
    weights, *_ = np.linalg.lstsq(sizes[::2] / counts[::2, None], np.ones(len(counts[::2])), rcond=None)
    differences = np.abs(sizes[1::2] @ weights / counts[1::2] - 1)
    per_byte, per_word, per_digit, per_sign = (round(float(weight), 6) for weight in weights)
    return TokenEstimator(
        tokenizer=tokenizer,
        weights=(per_byte, per_word, per_digit, per_sign),
        sample=len(texts),
        error=round(float(np.quantile(differences, 0.95)), 6),
        margin=round(2 * float(differences.max()), 6),  # the sample does not hold the worst of all texts
    )


_DIGITS = string.digits.encode()
_SIGNS = string.punctuation.encode()


def _sizes(text: str) -> tuple[int, int, int, int]:
    """Bytes, words, digits and punctuation: what tokenizers cut along."""
    raw = text.encode()
    size = len(raw)
    digits, signs = (size - len(raw.translate(None, characters)) for characters in (_DIGITS, _SIGNS))
    return size, len(text.split()), digits, signs


@lru_cache(maxsize=2)
def _load(folder: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    path = folder / _TOKENIZER_FILE
    if not path.is_file():
        raise TuningError(f"{folder} holds no {_TOKENIZER_FILE}", "Give the folder of a model with a fast tokenizer")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        raise TuningError(f"{path} is no tokenizer ({error})", "Fetch the model again") from None
