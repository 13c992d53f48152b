"""Summarize the numbers of tokens of the prompts and answers of each split."""

import numpy as np

from tuning.dataset.split.selection import Selection
from tuning.dataset.tokens import TokenEstimator
from tuning.dataset.workspace.index import Index
from tuning.dataset.workspace.parts import Column


def token_facts(index: Index, selection: Selection, tokens: TokenEstimator) -> dict[str, object]:
    """Return the token facts for the manifest. They are empty with the seed preset, which does not count tokens."""
    if "prompt_tokens" not in index.columns:
        return {}
    facts: dict[str, object] = {"estimate": tokens.recorded()}
    for split, rows in selection.sides.items():
        kinds = {kind: index[f"{kind}_tokens"][rows] for kind in ("prompt", "answer")}
        facts[split] = {kind: _summary(counts) for kind, counts in kinds.items()}
    return facts


def _summary(counts: Column) -> dict[str, int]:
    median, most = np.quantile(counts, [0.5, 0.95])
    return {"sum": int(counts.sum()), "median": round(median), "p95": round(most), "max": int(counts.max())}
