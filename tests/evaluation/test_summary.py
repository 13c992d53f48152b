"""The table at the end of `tune` and `evaluate`."""

import re

import msgspec

from tests.evaluation.suites import compared, pairs
from tuning.evaluation.gate import judge
from tuning.evaluation.options import GateOptions
from tuning.evaluation.records import Comparison, Figure, Interval
from tuning.evaluation.summary import summary_lines

OPTIONS = GateOptions(resamples=2000)
HALF = [number % 2 == 0 for number in range(96)]
MORE = [solved or number < 24 for number, solved in enumerate(HALF)]
LOSSES = {role: Interval(mean, mean - 0.1, mean + 0.1, 48) for role, mean in (("base", 2.0), ("tuned", 1.7))}


def summed(comparison: Comparison) -> list[str]:
    return summary_lines(judge(comparison, OPTIONS), comparison, [("dataset", "d1: 9 rows")])


def test_the_summary_has_the_verdict_and_the_numbers_against_each_opponent() -> None:
    comparison = compared(MORE, HALF, pairs([0.3] * 48))
    comparison = msgspec.structs.replace(comparison, figures=[Figure(metric="loss", models=LOSSES, differences={})])
    verdict = judge(comparison, OPTIONS)
    (base,) = verdict.judgements
    champion = msgspec.structs.replace(base, opponent="champion", solved={"champion": 61, "tuned": 60}, lost=["files"])
    both = msgspec.structs.replace(
        verdict, judgements=[base, champion], improvements={"base": Interval(0.3, 0.2, 0.4, 48)}
    )
    lines = summary_lines(both, comparison, [("dataset", "d1: 9 rows")])
    assert lines[0] == "summary"
    names = [line[2:].split("  ")[0] for line in lines[1:]]
    facts = {name: line[2 + max(map(len, names)) + 2 :] for name, line in zip(names, lines[1:], strict=True)}
    assert all(value == value.strip() for value in facts.values())
    assert facts["verdict"] == "better"
    change = r"\+12\.5 \(\+[\d.]+ to \+[\d.]+\) points; 12 gained"
    assert re.fullmatch(rf"base 48, tuned 60 of 96: {change}, 0 lost", facts["solved"])
    assert re.fullmatch(rf"champion 61, tuned 60 of 96: {change}, 1 lost", facts["solved (champion)"])
    assert facts["loss"] == "base 2.000, tuned 1.700: -0.300 (-0.400 to -0.200); lower is better"
    assert facts["guardrails"].startswith("none is worse: ")
    assert facts["dataset"] == "d1: 9 rows"


def test_a_guardrail_that_is_worse_is_named_and_so_is_why_no_question_was_asked() -> None:
    worse = summed(compared(MORE, HALF, pairs([0.3] * 48), scores={"loop": (0.0, 60.0)}))
    assert any(re.match(r"  guardrails +worse: loop; of ", line) for line in worse)
    silent = summed(compared(MORE, HALF, pairs([0.3] * 48), reason="the code in the answers was not run"))
    assert any(re.match(r"  solved +the code in the answers was not run", line) for line in silent)


def test_why_no_question_was_asked_is_said_once_for_all_opponents() -> None:
    comparison = compared(MORE, HALF, pairs([0.3] * 48), reason="the code in the answers was not run")
    verdict = judge(comparison, OPTIONS)
    (base,) = verdict.judgements
    both = msgspec.structs.replace(verdict, judgements=[base, msgspec.structs.replace(base, opponent="champion")])
    assert sum("was not run" in line for line in summary_lines(both, comparison, [])) == 1
