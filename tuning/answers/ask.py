"""Run the code in answers to a suite's questions."""

from collections.abc import Sequence

import msgspec

from tuning.answers import sandbox
from tuning.answers.code import runnable
from tuning.answers.suite import Question
from tuning.machine import usable_cores

_PRINTED = 2_000  # maximum characters of the code's output that are kept


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what an answer's code did. `printed` has at most the first 2,000 characters of its output."""

    executed: bool  # the check passed: the code did what was asked
    runs: bool  # the code ended without an error
    printed: str = ""
    error: str = ""


def run_answers(questions: Sequence[Question], answers: Sequence[str], protection: str) -> list[Outcome]:
    """Run the code of each answer and the check of its question, in a sandbox with `protection`.

    An answer without Python code that parses counts as failed. Raises TuningError if the sandbox cannot be set up.
    """
    codes = [runnable(answer) for answer in answers]
    having = [index for index, code in enumerate(codes) if code]
    programs = [sandbox.Program(questions[index].setup, codes[index], questions[index].check) for index in having]
    results = dict(zip(having, sandbox.run(programs, protection=protection, workers=usable_cores()), strict=True))
    return [
        _outcome(results[index])
        if index in results
        else Outcome(executed=False, runs=False, error="the answer has no Python code that parses")
        for index in range(len(codes))
    ]


def _outcome(result: sandbox.Result) -> Outcome:
    return Outcome(executed=result.passed, runs=result.ran, printed=result.output[:_PRINTED], error=result.error)
