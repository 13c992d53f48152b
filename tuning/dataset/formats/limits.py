"""What each target accepts: the one table. Splitting never samples; a tuner's own check compares with this.

Gemini: https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-use-supervised-tuning; open models:
https://cloud.google.com/vertex-ai/generative-ai/docs/models/open-model-tuning; text-bison: the tuning template's page
of 2024, kept for who still has a service that takes it. As of November 2026.
"""

import math
from dataclasses import dataclass

from tuning.dataset.formats.records import Format
from tuning.errors import TuningError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Rows, bytes and tokens that a target takes. Bounds are inclusive."""

    name: str
    formats: tuple[Format, ...]
    train_rows: tuple[int, int]
    advised_rows: int  # fewer are taken, and advised against
    train_bytes: int
    evaluation_rows: tuple[int, int]
    evaluation_share: float  # most evaluation rows per train row, once there are more than `share_from`
    share_from: int
    example_tokens: int  # prompt and answer together
    prompt_tokens: int = 0  # 0: only `example_tokens` counts
    answer_tokens: int = 0

    def evaluation(self, train_rows: int) -> int:
        """Most evaluation rows beside that many train rows."""
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
OPEN_MODELS = Limits(
    name="open model tuning",
    formats=("messages",),
    train_rows=(1, 10_000_000),
    advised_rows=100,
    train_bytes=10**9,
    evaluation_rows=(1, 4_999),
    evaluation_share=0.2499,  # under a quarter
    share_from=0,
    example_tokens=8_192,
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
    prompt_tokens=8_192,
    answer_tokens=1_024,
)
LOCAL = Limits(
    name="local tuning",
    formats=("messages", "prompt-completion", "notebook", "trl-preference"),
    train_rows=(1, 10_000_000),
    advised_rows=100,
    train_bytes=10**12,
    evaluation_rows=(1, 10_000_000),
    evaluation_share=1.0,
    share_from=10_000_000,
    example_tokens=8_192,  # positions of smollm2
)
_TARGETS = {"gemini": GEMINI, "open-models": OPEN_MODELS, "text-bison": TEXT_BISON, "hf": LOCAL}


def for_target(target: str) -> Limits:
    """Limits of ``gemini``, ``open-models``, ``text-bison`` or ``hf``."""
    if target not in _TARGETS:
        raise TuningError(f"there is no target {target!r}", f"Choose one of: {', '.join(_TARGETS)}")
    return _TARGETS[target]


def example_tokens(format_: Format) -> int:
    """Most tokens of prompt and answer that every target of the format takes: longer examples are dropped."""
    return min(limits.example_tokens for limits in _TARGETS.values() if format_ in limits.formats)
