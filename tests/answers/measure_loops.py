"""Recall and precision of the loop detector on labelled answers: ``python -m tests.answers.measure_loops``.

``loops_labelled.jsonl`` has 200 answers of smollm2, untuned and tuned in three ways. Two readers labelled each without
seeing the other's labels or the detector's result. The detector's rules were chosen on these answers, so fresh answers
will give somewhat lower figures.
"""

import json
from pathlib import Path

from tuning.answers.loops import loops

_LABELLED = Path(__file__).parent / "loops_labelled.jsonl"


def measure() -> dict[str, float]:
    """Return agreement of the readers, and recall and precision where both agree, each as a share."""
    rows = [json.loads(line) for line in _LABELLED.read_text(encoding="utf-8").splitlines()]
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
    for name, value in measure().items():
        print(f"{name:10} {value:.3g}")
