"""Summarize the numbers of tokens of the prompts and answers of each split."""

from pathlib import Path

import numpy as np

from tuning.dataset.split.selection import Selection
from tuning.dataset.workspace.index import Index
from tuning.dataset.workspace.parts import Column

# What earlier versions wrote too, so that a dataset without a tokenizer keeps its bytes.
_GUESSED = {
    "tokenizer": "",
    "tokens_per_byte_word_digit_sign": [0.3333, 0.0, 0.0, 0.0],
    "sample": 0,
    "error_95": None,
    "counted_within": 0.0,
}


def token_facts(index: Index, selection: Selection, tokenizer: Path | None) -> dict[str, object]:
    """Return the token facts for the manifest. They are empty with the seed preset, which does not count tokens.

    With a tokenizer, they are those of the examples whose tokens were counted. `sample` is their number, and the sums
    are projected from them to all examples.
    """
    if "prompt_tokens" not in index.columns:
        return {}
    counted = {split: rows[index["prompt_tokens"][rows] >= 0] for split, rows in selection.sides.items()}
    facts: dict[str, object] = {"estimate": _GUESSED}
    if tokenizer:
        facts["estimate"] = {"tokenizer": tokenizer.name, "sample": sum(map(len, counted.values()))}
    for split, rows in counted.items():
        if len(rows):
            every = len(selection.sides[split])
            facts[split] = {kind: _summary(index[f"{kind}_tokens"][rows], every) for kind in ("prompt", "answer")}
    return facts


def _summary(counts: Column, rows: int) -> dict[str, int]:
    """Return the facts of `rows` texts, of which some were counted."""
    median, most = np.quantile(counts, [0.5, 0.95])
    total = round(int(counts.sum()) * rows / len(counts))
    return {"sum": total, "median": round(median), "p95": round(most), "max": int(counts.max())}
