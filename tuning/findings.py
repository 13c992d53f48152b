"""Hold and print the results of checks of this machine or a Google Cloud project."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tuning.errors import TuningError


@dataclass(frozen=True)
class Finding:
    """Hold the result of one check. `hint` says how to fix the problem, and is '' if there is no problem.

    The state is "unseen" if the check has no result, for example because Google refused to answer, and "note" if
    something is missing that not every command needs.
    """

    state: Literal["right", "wrong", "unseen", "note"]
    what: str
    hint: str = ""


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Return the lines to print: each result, the fix of each problem, and a summary."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:6} {finding.what}")
        lines += [f"       {finding.hint}"] if finding.hint else []
    wrong = sum(finding.state == "wrong" for finding in findings)
    return [*lines, f"{wrong} of {len(findings)} checks found a problem" if wrong else "the checks found no problem"]


def refuse_wrong(findings: Sequence[Finding]) -> None:
    """Raise TuningError if a check found a problem, so that a script stops."""
    if wrong := [finding for finding in findings if finding.state == "wrong"]:
        raise TuningError(f"{len(wrong)} checks found a problem. The first: {wrong[0].what}", f"Fix: {wrong[0].hint}")
