"""Score a generated answer against its reference.

Scores are from 0 to 100, yes-or-no scores are 0 or 100, and `length_ratio` is a ratio.
"""

import functools
import re
import zlib
from collections.abc import Sequence
from typing import Any

from tuning.evaluation.code_blocks import code_blocks, parses, python_blocks

# A refusal is recognized by its first words, without a model.
_REFUSAL = re.compile(
    r"\s*((i'?m|i am) (sorry|not able|unable)|sorry,|i apologi[sz]e|i can(no|')t |as an ai\b)",
    re.IGNORECASE,
)
_LOOP_MINIMUM = 100  # bytes; a shorter answer is never a loop
_LOOP_SHARE = 0.2  # compressed size as a share of the size

DESCRIPTIONS = {
    "loss": "mean cross entropy per answer token in nats, averaged over examples (lower is better)",
    "chrf": "chrF of the answer against the reference, 0-100",
    "rouge_l": "ROUGE-L F-measure against the reference, 0-100",
    "code": "share of answers with a code block, %",
    "parses": "share of an answer's fenced Python blocks that parse, %",
    "refusal": "share of answers that refuse to answer, %",
    "empty": "share of empty answers, %",
    "loop": "share of answers that repeat themselves, %",
    "truncated": "share of answers cut at the token limit, %",
    "length_ratio": "length of the answer divided by the length of the reference",
    "stopped": "share of prompts and answers that the service's filters blocked (managed models only), %",
    "cited": "share of answers for which the service cites a source (managed models only), %",
}
# The finish reasons of answers that the filters of a service ended.
_STOPPED = frozenset({"BLOCKED", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"})


def score_answer(answer: str, reference: str, finish_reason: str) -> dict[str, float]:
    """Return the metrics of DESCRIPTIONS, except the loss and those of `score_service`.

    ``parses`` is included only if the answer has a fenced Python block, ``length_ratio`` only if the reference is not
    empty.
    """
    scores = {
        "chrf": _chrf(answer, reference),
        "rouge_l": _rouge_l(answer, reference),
        "code": 100.0 * bool(code_blocks(answer)),
        "refusal": 100.0 * bool(_REFUSAL.match(answer)),
        "empty": 100.0 * (not answer.strip()),
        "loop": 100.0 * loops(answer),
        "truncated": 100.0 * (finish_reason == "MAX_TOKENS"),
    }
    if reference:
        scores["length_ratio"] = len(answer) / len(reference)
    # The token limit can cut the last block of an answer. That is not an error of the model.
    blocks = python_blocks(answer)
    if finish_reason == "MAX_TOKENS" and blocks and _unclosed(answer):
        blocks = blocks[:-1]
    if blocks:
        scores["parses"] = 100.0 * sum(parses(block.text) for block in blocks) / len(blocks)
    return scores


def score_service(finish_reason: str, notes: Sequence[str]) -> dict[str, float]:
    """Return whether a managed service blocked an answer and whether it cites a source for it."""
    return {
        "stopped": 100.0 * (finish_reason in _STOPPED),
        "cited": 100.0 * any(note.startswith("cites ") for note in notes),
    }


def loops(answer: str) -> bool:
    """Return whether an answer mostly repeats words or letters.

    This is the case if the answer has at least 100 bytes and zlib compresses it to a fifth or less. It compresses prose
    to about a half and code to about a third.
    """
    content = answer.encode()
    return len(content) >= _LOOP_MINIMUM and len(zlib.compress(content)) <= _LOOP_SHARE * len(content)


def _unclosed(answer: str) -> bool:
    return answer.count("```") % 2 == 1


def _chrf(answer: str, reference: str) -> float:
    from sacrebleu import sentence_chrf

    return float(sentence_chrf(answer, [reference]).score)


def _rouge_l(answer: str, reference: str) -> float:
    return 100.0 * float(_scorer().score(reference, answer)["rougeL"].fmeasure)


@functools.cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"])
