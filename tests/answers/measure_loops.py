"""Recall and precision of the loop detector on labelled answers: ``python -m tests.answers.measure_loops``.

``loops_labelled.jsonl`` has 200 answers of smollm2, untuned and tuned in three ways, on which the detector's rules were
chosen. ``loops_fresh.jsonl`` has 200 later answers of smollm2, untuned and tuned by the default recipe, that had no
part in choosing them. Two readers labelled each answer without seeing the other's labels or the detector's result.
"""

import json
from pathlib import Path

from tuning.answers.loops import loops

_FOLDER = Path(__file__).parent


def measure(name: str) -> dict[str, float]:
    """Return agreement of the readers, and recall and precision where both agree, each as a share, for one file."""
    rows = [json.loads(line) for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines()]
    agreed = [row for row in rows if row["first"] == row["second"]]
    found = [(loops(row["answer"]), row["first"]) for row in agreed]
    hits = sum(is_found and is_loop for is_found, is_loop in found)
    return {
        "answers": len(rows),
        "loops": sum(is_loop for _, is_loop in found),
        "agreement": len(agreed) / len(rows),
        "recall": hits / sum(is_loop for _, is_loop in found),
        "precision": hits / sum(is_found for is_found, _ in found),
    }


if __name__ == "__main__":
    for name in ("loops_labelled.jsonl", "loops_fresh.jsonl"):
        print(name, *(f"{key} {value:.3g}" for key, value in measure(name).items()), sep="  ")
