"""Add the times of a run's steps to its report. The report itself may come from the cache of an earlier run."""

import html
import re
from collections.abc import Sequence

from tuning.pipelines.outcome import Step

_TIMES = re.compile(rb"<!-- times -->.*?<!-- end of times -->", re.DOTALL)


def with_steps(page: bytes, steps: Sequence[Step]) -> bytes:
    """Return the report's page with the times of this run's steps in place of those of the steps' last runs.

    So one step has one time. Without steps, the page stays as it is.
    """
    if not steps:
        return page
    rows = "".join(f"<tr><td>{html.escape(step.name)}</td><td class='number'>{_took(step)}</td></tr>" for step in steps)
    table = f"<table>{rows}</table>"
    return _TIMES.sub(lambda _: table.encode(), page, count=1)


def _took(step: Step) -> str:
    return f"{step.seconds:.1f} s{', reused' if step.cached else ''}"
