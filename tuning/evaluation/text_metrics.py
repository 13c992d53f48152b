"""What one generated answer is worth beside its reference, as numbers from 0 to 100 (shares: 0 or 100)."""

import functools
import re
import zlib
from collections.abc import Sequence
from typing import Any

from tuning.evaluation.code_blocks import code_blocks, parses, python_blocks

# Short of asking a model, a refusal is known by its first words.
_REFUSAL = re.compile(
    r"\s*((i'?m|i am) (sorry|not able|unable)|sorry,|i apologi[sz]e|i can(no|')t |as an ai\b)",
    re.IGNORECASE,
)
_LOOP_MINIMUM = 100  # bytes below which nothing is called a loop
_LOOP_SHARE = 0.2

DESCRIPTIONS = {
    "loss": "mean cross entropy per answer token in nats, averaged over examples (lower is better)",
    "chrf": "chrF of the answer against the reference, 0-100",
    "rouge_l": "ROUGE-L F-measure against the reference, 0-100",
    "code": "share of answers with a block of code, %",
    "parses": "share of an answer's fenced Python blocks that parse, %",
    "refusal": "share of answers that refuse, %",
    "empty": "share of empty answers, %",
    "loop": "share of answers that repeat themselves, %",
    "truncated": "share of answers cut at the token limit, %",
    "length_ratio": "length of the answer over that of the reference",
    "stopped": "share of questions and answers that the service's filters stopped (managed models only), %",
    "cited": "share of answers that quote a source which the service names (managed models only), %",
}
# What a service says where its filters, not the model, ended an answer.
_STOPPED = frozenset({"BLOCKED", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"})


def score_answer(answer: str, reference: str, finish_reason: str) -> dict[str, float]:
    """The metrics of DESCRIPTIONS save the loss and those of `score_service`; ``parses`` only where there is a fenced
    Python block."""
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
    # The last block of a truncated answer breaks off; that is the limit's doing, not the model's.
    blocks = python_blocks(answer)
    if finish_reason == "MAX_TOKENS" and blocks and _unclosed(answer):
        blocks = blocks[:-1]
    if blocks:
        scores["parses"] = 100.0 * sum(parses(block.text) for block in blocks) / len(blocks)
    return scores


def score_service(finish_reason: str, notes: Sequence[str]) -> dict[str, float]:
    """What a managed service did to an answer: its filters stopped it, or it found it quoted."""
    return {
        "stopped": 100.0 * (finish_reason in _STOPPED),
        "cited": 100.0 * any(note.startswith("cites ") for note in notes),
    }


def loops(answer: str) -> bool:
    """Whether an answer of some length mostly repeats itself, words or letters: zlib takes a fifth of it or less, where
    it takes about half of prose and a third of code."""
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
