"""Define how many rows, bytes, and tokens each target accepts.

Splitting a dataset does not sample rows to meet these limits. Each tuner checks its dataset against them.

Sources, as of November 2026:

* Gemini: https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-use-supervised-tuning
* text-bison: the page of the tuning template in 2024. The limits are for users whose service still accepts it.
"""

import math
from dataclasses import dataclass

from tuning.dataset.formats.records import Format


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Hold the limits of one target. Pairs are minimum and maximum. All limits are inclusive."""

    name: str
    formats: tuple[Format, ...]
    train_rows: tuple[int, int]
    advised_rows: int  # fewer rows are accepted, but not recommended
    train_bytes: int
    evaluation_rows: tuple[int, int]
    evaluation_share: float  # maximum evaluation rows per train row
    share_from: int  # number of evaluation rows that is accepted even if it exceeds the share
    example_tokens: int  # prompt and answer together

    def evaluation(self, train_rows: int) -> int:
        """Return the maximum number of evaluation rows for this number of train rows."""
        return min(self.evaluation_rows[1], max(self.share_from, math.floor(self.evaluation_share * train_rows)))


GEMINI = Limits(
    name="Gemini tuning",
    formats=("gemini", "gemini-preference"),
    train_rows=(16, 10_000_000),
    advised_rows=100,
    train_bytes=10**9,
    evaluation_rows=(1, 5_000),
    evaluation_share=0.3,
    share_from=1_000,
    example_tokens=131_072,
)
TEXT_BISON = Limits(
    name="the text-bison template",
    formats=("text-bison", "notebook"),
    train_rows=(10, 10_000_000),
    advised_rows=100,
    train_bytes=10**9,
    evaluation_rows=(10, 250),
    evaluation_share=1.0,
    share_from=250,
    example_tokens=8_192 + 1_024,
)
LOCAL = Limits(
    name="local tuning",
    formats=("messages", "prompt-completion", "sharegpt", "alpaca", "notebook", "trl-preference"),
    train_rows=(1, 10_000_000),
    advised_rows=100,
    train_bytes=10**12,
    evaluation_rows=(1, 10_000_000),
    evaluation_share=1.0,
    share_from=10_000_000,
    example_tokens=8_192,  # context length of smollm2
)
_ALL = (GEMINI, TEXT_BISON, LOCAL)


def example_tokens(format_: Format) -> int:
    """Return the maximum tokens of prompt and answer that all targets of the format accept.

    Longer examples are dropped from a dataset.
    """
    return min(limits.example_tokens for limits in _ALL if format_ in limits.formats)
