"""Score a generated answer: the text by itself, and against its reference.

Scores are from 0 to 100, yes-or-no scores are 0 or 100, `length_ratio` is a ratio, and `characters` is a number.
"""

import functools
import re
from collections.abc import Sequence
from typing import Any

from tuning.answers.apis import known_names
from tuning.answers.code import code_blocks, parses, program, python_blocks
from tuning.answers.loops import loops
from tuning.tuners.protocol import LIMIT, REPETITION

# A refusal is recognized by its first words, without a model.
_REFUSAL = re.compile(
    r"\s*((i'?m|i am) (sorry|not able|unable)|sorry,|i apologi[sz]e|i can(no|')t |as an ai\b)",
    re.IGNORECASE,
)

DESCRIPTIONS = {
    "executed": "share of how-to questions whose answer's code does what was asked, %",
    "runs": "share of answers whose code runs without an error, %",
    "apis": "share of the library names in an answer's code that exist, %",
    "loss": "mean cross entropy per answer token in nats, averaged over examples (lower is better)",
    "chrf": "chrF of the answer against the reference, 0-100",
    "rouge_l": "ROUGE-L F-measure against the reference, 0-100",
    "code": "share of answers with a code block, %",
    "parses": "share of an answer's fenced Python blocks that parse, %",
    "refusal": "share of answers that refuse to answer, %",
    "empty": "share of empty answers, %",
    "loop": "share of answers that repeat themselves, %",
    "truncated": "share of answers cut at the token limit, by a filter, or because they only repeat themselves, %",
    "length_ratio": "length of the answer divided by the length of the reference",
    "characters": "length of the answer in characters",
    "stopped": "share of prompts and answers that the service's filters blocked (managed models only), %",
    "cited": "share of answers for which the service cites a source (managed models only), %",
}
# The metrics of `score_text` that a log of served answers has too.
TEXT_METRICS = ("code", "parses", "refusal", "empty", "loop", "truncated", "characters")
# The finish reasons of answers that the filters of a service ended.
_STOPPED = frozenset(
    {"BLOCKED", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "CONTENT_FILTER"}
)
_CUT = _STOPPED | {LIMIT, REPETITION}


def score_text(answer: str, finish_reason: str) -> dict[str, float]:
    """Return the metrics of an answer that need no reference.

    ``parses`` is included only if the answer has a fenced Python block, and ``apis`` only if its code names anything
    from a library. An answer that repeats only what is not shown, such as line breaks, is empty, and not a loop too.
    """
    is_empty = not answer.strip()
    scores = {
        "code": 100.0 * bool(code_blocks(answer)),
        "refusal": 100.0 * bool(_REFUSAL.match(answer)),
        "empty": 100.0 * is_empty,
        "loop": 100.0 * (not is_empty and (finish_reason == REPETITION or loops(answer))),
        "truncated": 100.0 * (finish_reason in _CUT),
        "characters": float(len(answer)),
    }
    # Leave out a last block if the answer was cut in it, because that is not an error of the model.
    blocks = [block for block in python_blocks(answer) if block.closed or finish_reason not in _CUT]
    if blocks:
        scores["parses"] = 100.0 * sum(parses(block.text) for block in blocks) / len(blocks)
    found, missing = known_names(program(answer))
    if found or missing:
        scores["apis"] = 100.0 * len(found) / (len(found) + len(missing))
    return scores


def score_answer(answer: str, reference: str, finish_reason: str) -> dict[str, float]:
    """Return the metrics of `score_text`, and those against the reference.

    If the answer was cut, ``chrf`` and ``rouge_l`` compare it with the start of the reference, of the same
    length in characters. An answer that was cut before it began, as thinking can do, has none of both.
    ``length_ratio`` is included only if the reference is not empty.
    """
    compared = reference[: len(answer)] if finish_reason in _CUT else reference
    scores: dict[str, float] = {}
    if answer.strip() or finish_reason not in _CUT:
        scores |= {"chrf": _chrf(answer, compared), "rouge_l": _rouge_l(answer, compared)}
    if reference:
        scores["length_ratio"] = len(answer) / len(reference)
    return scores | score_text(answer, finish_reason)


def score_service(finish_reason: str, notes: Sequence[str]) -> dict[str, float]:
    """Return whether a managed service blocked an answer and whether it cites a source for it."""
    return {
        "stopped": 100.0 * (finish_reason in _STOPPED),
        "cited": 100.0 * any(note.startswith("cites ") for note in notes),
    }


def _chrf(answer: str, reference: str) -> float:
    from sacrebleu import sentence_chrf

    return float(sentence_chrf(answer, [reference]).score)


def _rouge_l(answer: str, reference: str) -> float:
    return 100.0 * float(_scorer().score(reference, answer)["rougeL"].fmeasure)


@functools.cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"])
