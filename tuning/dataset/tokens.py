"""How many tokens a text takes: estimated in a microsecond for most, counted exactly where it matters.

The estimate is a line through bytes and words, fitted on a sample with the base model's own tokenizer where that is a
local folder. Without one it is a rule of thumb, and says so by having no error.
"""

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
    second half stay under (the line was fitted on the first half); None where nothing was counted. `margin` is the
    largest difference: an estimate nearer to a limit than that is replaced by the count.
    """

    tokenizer: Path | None = None  # a folder that holds tokenizer.json
    per_byte: float = 1 / BYTES_PER_TOKEN
    per_word: float = 0.0
    sample: int = 0
    error: float | None = None
    margin: float = 0.0

    def estimate(self, text: str) -> int:
        return round(self.per_byte * len(text.encode()) + (self.per_word * len(text.split()) if self.per_word else 0.0))

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
            "tokens_per_byte": round(self.per_byte, 4),
            "tokens_per_word": round(self.per_word, 4),
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
    features = np.array([(len(text.encode()), len(text.split())) for text in texts], dtype=np.float64)
    # Divided by the counts, the line keeps the relative error small, for short texts as for long ones.
    (per_byte, per_word), *_ = np.linalg.lstsq(features[::2] / counts[::2, None], np.ones(len(counts[::2])), rcond=None)
    differences = np.abs(features[1::2] @ (per_byte, per_word) / counts[1::2] - 1)
    return TokenEstimator(
        tokenizer=tokenizer,
        per_byte=round(float(per_byte), 6),
        per_word=round(float(per_word), 6),
        sample=len(texts),
        error=round(float(np.quantile(differences, 0.95)), 6),
        margin=round(float(differences.max()), 6),
    )


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
