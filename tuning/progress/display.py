"""Draw the display of `tuning.progress` with rich, which prints other lines above it and honors NO_COLOR."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from tuning.visible import visible

_PER_SECOND = 4  # drawings
_RATE_SECONDS = 300  # over which a rate is computed: a step or a batch of answers can take more than rich's 30 seconds
_open: "Display | None" = None


class _Console(Console):
    """Write to a terminal without hiding its cursor, which a killed process would not show again."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 - rich's signature
        return False


class _Count(ProgressColumn):
    """Show what is done, of how much, and how much in a second, such as ``34/75 nodes, 5.2/s``."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        if not unit:
            return Text("")
        write = _bytes if unit == "bytes" else _number
        of = "" if task.total is None else f"/{write(task.total)}"
        rate = f", {write(task.speed)}/s" if task.speed else ""
        return Text(f"{write(task.completed)}{of}{'' if unit == 'bytes' else f' {unit}'}{rate}")


class _Time(ProgressColumn):
    """Show the time that is left, or if it is not known, the time since the beginning."""

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text(f"{_clock(task.elapsed or 0)}" if left is None else f"{_clock(left)} left")


class Display:
    """Show the innermost of the tasks that are open. What is printed meanwhile stands above it."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: list[Any] = []

    @contextlib.contextmanager
    def task(self, label: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
        """Show a task until the block ends. Yields ``advance(amount)``."""
        if self._tasks:
            self._bar.update(self._tasks[-1], visible=False)
        task = self._bar.add_task(label, total=total, unit=unit)
        self._bar.advance(task, 0)  # the rate counts from now on
        self._tasks.append(task)
        try:
            yield lambda amount: self._bar.advance(task, amount)
        finally:
            self._tasks.remove(task)
            self._bar.remove_task(task)
            if self._tasks:
                self._bar.update(self._tasks[-1], visible=True)


@contextlib.contextmanager
def opened() -> Iterator[Display]:
    """Yield the display. The outermost block puts it on the terminal, and takes it away at its end."""
    global _open
    if _open is not None:
        yield _open
        return
    console = _Console(file=sys.stderr)
    columns = (
        SpinnerColumn("line"),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=32)),
        BarColumn(bar_width=20),
        _Count(table_column=Column(no_wrap=True)),
        _Time(table_column=Column(no_wrap=True)),
    )
    # rich's own redirection would send stdout to stderr, and interpret what is printed.
    bar = Progress(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=_PER_SECOND,
        speed_estimate_period=_RATE_SECONDS,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with _above(console), bar:
        _open = Display(bar)
        try:
            yield _open
        finally:
            _open = None


@contextlib.contextmanager
def _above(console: Console) -> Iterator[None]:
    """Print whole lines above the display, if they go to the same terminal. Output to a file is left alone."""
    with contextlib.ExitStack() as stack:
        streams: list[_Above] = []
        for name, redirect in (("stdout", contextlib.redirect_stdout), ("stderr", contextlib.redirect_stderr)):
            stream = getattr(sys, name)
            if stream is not None and stream.isatty():
                streams.append(_Above(stream, console))
                stack.enter_context(redirect(streams[-1]))
        try:
            yield
        finally:
            for above in streams:
                above.end()


class _Above:
    """Write lines above the display."""

    def __init__(self, stream: IO[str], console: Console) -> None:
        self._stream, self._console, self._rest = stream, console, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._console.print(Text(visible(line)), soft_wrap=True)
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def end(self) -> None:
        """Write the last line if it has no end."""
        if self._rest:
            self._stream.write(self._rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _bytes(value: float) -> str:
    return decimal(int(value))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
