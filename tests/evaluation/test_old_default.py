"""The default recipe of earlier releases, which passed a gate on loss alone, is worse by this gate.

``old_default.jsonl`` has what smollm2 and a model tuned by that recipe scored on the judging questions. It was tuned on
questions made from the standard library's documentation: 20 steps of 8 rows, rate 1.2e-3, the full step.
"""

import json
from pathlib import Path

from tests.evaluation.suites import pairs, scored
from tuning.evaluation.gate import judge
from tuning.evaluation.options import GateOptions

SCORES = Path(__file__).with_name("old_default.jsonl")


def test_the_old_default_is_worse_although_its_loss_is_much_better() -> None:
    rows = [json.loads(line) for line in SCORES.read_text(encoding="utf-8").splitlines()]
    comparison = scored(
        {row["topic"]: {role: row[role] for role in ("base", "tuned")} for row in rows}, pairs([0.76] * 48)
    )
    verdict = judge(comparison, GateOptions())
    assert (verdict.status, verdict.passed) == ("worse", False)
    assert {"executed", "runs"} <= {rail.metric for rail in verdict.judgements[0].guardrails if rail.is_worse}
    assert any("the tuned model solves 2 of 96 how-to questions and the base 35" in why for why in verdict.reasons)
