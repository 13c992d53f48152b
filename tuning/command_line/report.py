"""Hold what a command reports, and print it as text or, with ``--json``, as one JSON document."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from tuning.findings import Finding, finding_lines, refuse_wrong


@dataclass(frozen=True)
class Report:
    """Hold the same content as `data`, which becomes JSON, and as `lines` for a person.

    A task that returns a Report gets the option ``--json``. `check` runs after the printing, and raises TuningError if
    the content says that something is wrong.
    """

    data: object
    lines: Iterable[str]
    check: Callable[[], None] = lambda: None

    def as_json(self) -> str:
        """Return the data as indented JSON in ASCII, so that no character can deceive a reader. NaN becomes null."""
        plain = json.loads(msgspec.json.encode(self.data, enc_hook=str))
        return json.dumps(plain, indent=2)


def report_findings(findings: Sequence[Finding]) -> Report:
    """Return the results of checks, of which a problem ends the command with an error, so that a script stops."""
    return Report(findings, finding_lines(findings), lambda: refuse_wrong(findings))
