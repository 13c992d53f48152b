"""Show a progress bar during long work if stderr is a terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from tuning.visible import visible


@contextlib.contextmanager
def progress(label: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    """Yield ``advance(amount)``, which moves a bar on stderr. It does nothing if stderr is not a terminal.

    `unit` is ``bytes`` or a plural noun such as ``rows``. `total` is in this unit, or None if it is not known.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    counter = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counter, TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(visible(label), total=total)
        yield lambda amount: bar.advance(task, amount)
