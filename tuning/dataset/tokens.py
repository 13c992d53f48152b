"""Estimate the number of tokens of a text, and count them exactly near a limit.

An estimate takes about a microsecond. It is a weighted sum of the numbers of bytes, words, digits, and punctuation
characters. If the base model is a local folder, the weights are fitted on a sample with the model's tokenizer.
Otherwise the estimate is a rule of thumb, and its error is unknown.
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

# English prose has about four bytes per token and code about three: https://ai.google.dev/gemini-api/docs/tokens.
# With the smaller number, token counts are overestimated rather than underestimated.
BYTES_PER_TOKEN = 3.0
_TOKENIZER_FILE = "tokenizer.json"


class TokenEstimator(msgspec.Struct, frozen=True, kw_only=True):
    """Estimate and count tokens. The fields are plain values, so an estimator can be sent to a worker process.

    The weights are fitted on one half of the sample. `error` is the 95th percentile of the relative difference between
    estimate and count in the other half, or None if nothing was counted. `margin` is twice the largest of these
    relative differences. If an estimate differs from a limit by a smaller share of the limit, `total` counts exactly.
    """

    tokenizer: Path | None = None  # folder that contains tokenizer.json
    weights: tuple[float, float, float, float] = (1 / BYTES_PER_TOKEN, 0.0, 0.0, 0.0)  # byte, word, digit, punctuation
    sample: int = 0  # number of texts in the sample
    error: float | None = None
    margin: float = 0.0

    def estimate(self, text: str) -> int:
        """Return the estimated number of tokens."""
        if self.tokenizer is None:
            return round(self.weights[0] * len(text.encode()))
        return round(sum(weight * size for weight, size in zip(self.weights, _sizes(text), strict=True)))

    def count(self, text: str) -> int:
        """Return the exact number of tokens, or the estimate if there is no tokenizer.

        Raises TuningError if the tokenizer cannot be loaded.
        """
        if self.tokenizer is None:
            return self.estimate(text)
        return len(_load(self.tokenizer).encode(text, add_special_tokens=False).ids)

    def total(self, texts: Sequence[str], limit: int, extra: int = 0) -> int:
        """Return the number of tokens of all texts plus `extra`.

        The number is exact if there is a tokenizer and the estimate is near `limit`.

        Raises TuningError if the tokenizer cannot be loaded.
        """
        estimate = extra + sum(map(self.estimate, texts))
        if self.tokenizer is None or abs(estimate - limit) > self.margin * limit:
            return estimate
        return extra + sum(map(self.count, texts))

    def recorded(self) -> dict[str, object]:
        """Return the values for the manifest, without paths and rounded to four decimal places."""
        return {
            "tokenizer": self.tokenizer.name if self.tokenizer else "",
            "tokens_per_byte_word_digit_sign": [round(weight, 4) for weight in self.weights],
            "sample": self.sample,
            "error_95": None if self.error is None else round(self.error, 4),
            "counted_within": round(self.margin, 4),
        }


def calibrate(texts: Sequence[str], tokenizer: Path | None) -> TokenEstimator:
    """Return an estimator that is fitted on a sample: a few hundred texts like those to estimate.

    Without a `tokenizer`, nothing is fitted. The same sample always gives the same estimator. With fewer than
    20 nonempty texts, nothing is fitted either, and `total` counts every text exactly. Raises TuningError if the folder
    contains no valid tokenizer.
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
    # Divide by the counts to minimize the relative error, so that short and long texts have equal weight.
    weights, *_ = np.linalg.lstsq(sizes[::2] / counts[::2, None], np.ones(len(counts[::2])), rcond=None)
    differences = np.abs(sizes[1::2] @ weights / counts[1::2] - 1)
    per_byte, per_word, per_digit, per_punctuation = (round(float(weight), 6) for weight in weights)
    return TokenEstimator(
        tokenizer=tokenizer,
        weights=(per_byte, per_word, per_digit, per_punctuation),
        sample=len(texts),
        error=round(float(np.quantile(differences, 0.95)), 6),
        margin=round(2 * float(differences.max()), 6),  # doubled, because errors on other texts can be larger
    )


_DIGITS = string.digits.encode()
_PUNCTUATION = string.punctuation.encode()


def _sizes(text: str) -> tuple[int, int, int, int]:
    """Return the numbers of bytes, words, digits, and punctuation characters, from which tokens are estimated."""
    raw = text.encode()
    size = len(raw)
    digits, punctuation = (size - len(raw.translate(None, characters)) for characters in (_DIGITS, _PUNCTUATION))
    return size, len(text.split()), digits, punctuation


@lru_cache(maxsize=2)
def _load(folder: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    path = folder / _TOKENIZER_FILE
    if not path.is_file():
        raise TuningError(f"{folder} contains no {_TOKENIZER_FILE}", "Use the folder of a model with a fast tokenizer")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise TuningError(f"{path} is not a valid tokenizer ({error})", "Download the model again") from None
    tokenizer.encode_special_tokens = True  # encode a special token in a post as plain text, as in training
    return tokenizer
