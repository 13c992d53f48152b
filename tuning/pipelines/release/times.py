"""Add the times of a run's steps to its report. The report itself may come from the cache of an earlier run."""

import html
from collections.abc import Sequence

from tuning.pipelines.outcome import Step

_MARK = b"<!-- this run -->"


def with_steps(page: bytes, steps: Sequence[Step]) -> bytes:
    """Return the report's page with a table of this run's steps in place of the marker comment.

    Without steps, the page stays as it is.
    """
    if not steps:
        return page
    rows = "".join(f"<tr><td>{html.escape(step.name)}</td><td class='number'>{_took(step)}</td></tr>" for step in steps)
    total = sum(step.seconds for step in steps)
    table = (
        f"<h3>This run</h3><table>{rows}<tr><th>sum of the steps</th><th class='number'>{total:.1f} s</th></tr></table>"
    )
    return page.replace(_MARK, table.encode(), 1)


def _took(step: Step) -> str:
    return f"{step.seconds:.1f} s{', reused' if step.cached else ''}"
