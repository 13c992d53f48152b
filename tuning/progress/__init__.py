"""Show how long work stands: its stage, a count with its rate, and the time that is left.

There is one display, on stderr, and only if that is a terminal that can move its cursor. Without one, nothing is shown
here, and the lines that commands print are all there is. `NO_COLOR` takes the colors away.

A process that works for another one, such as a step of a pipeline, has no terminal. If RELAYED is in its environment,
it prints each state as a line, which the other process gives to `relay`.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tuning.visible import visible

RELAYED = "PYTHON_QA_PROGRESS"  # an environment variable; no setting, because a command sets it for its own steps
_MARK = "progress: "
_RELAY_SECONDS = 0.5  # between two lines of a process without a terminal
_names: list[str] = []  # of the stages that run now, the outermost first
Advance = Callable[[float], None]
Item = TypeVar("Item")


def is_shown() -> bool:
    """Return whether the display is shown, so that lines that only count can be left out."""
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    # With "" and without TERM, nobody knows the terminal.
    return os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


@contextlib.contextmanager
def stage(name: str, number: int = 0, of: int = 0) -> Iterator[None]:
    """Show that a stage of the work runs, and for how long, until the block ends. It is number `number` of `of`."""
    if not is_shown():
        yield
        return
    from tuning.progress.display import opened

    place = f"{number}/{of} " if of else ""
    with opened() as display:
        _names.append(visible(f"{place}{name}"))
        try:
            with display.task(_names[-1], None, ""):
                yield
        finally:
            _names.pop()


@contextlib.contextmanager
def progress(label: str, total: float | None, unit: str) -> Iterator[Advance]:
    """Yield ``advance(amount)``, which counts what is done.

    `unit` is ``bytes`` or a plural noun such as ``rows``. `total` is in this unit, or None if it is not known. In a
    stage, its name is shown instead of the label.
    """
    if is_shown():
        from tuning.progress.display import opened

        with opened() as display, display.task(_names[-1] if _names else visible(label), total, unit) as advance:
            yield advance
    elif RELAYED in os.environ:
        yield from _relayed(total, unit)
    else:
        yield lambda _: None


def counted(items: Iterable[Item], label: str, total: float, unit: str) -> Iterator[Item]:
    """Yield the items, and count them as `progress` does."""
    with progress(label, total, unit) as advance:
        for item in items:
            yield item
            advance(1)


def _relayed(total: float | None, unit: str) -> Iterator[Advance]:
    done, shown = 0.0, float("-inf")

    def say(text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # the other process has ended, and this one is about to
            print(f"{_MARK}{text}", flush=True)

    def advance(amount: float) -> None:
        nonlocal done, shown
        done += amount
        if time.monotonic() - shown >= _RELAY_SECONDS:
            shown = time.monotonic()
            say(f"{done:.15g} {'-' if total is None else f'{total:.15g}'} {unit}")

    advance(0)  # the time begins now
    try:
        yield advance
    finally:
        say("end")


def is_relayed(line: str) -> bool:
    """Return whether another process printed this line for `relay`."""
    return line.startswith(_MARK)


class Relay:
    """Show the progress of another process, of which `take` gets the lines."""

    def __init__(self) -> None:
        self._shown = contextlib.ExitStack()
        self._advance: Advance | None = None
        self._done = 0.0
        self._counted: list[str] = []  # the total and the unit

    def take(self, line: str) -> None:
        """Show the state that a line has, for which `is_relayed` is true. A damaged line changes nothing."""
        words = line.removeprefix(_MARK).split(maxsplit=2)
        if len(words) != 3 or words[1:] != self._counted:
            self.close()
        if len(words) != 3:
            return
        with contextlib.suppress(ValueError):
            done, total = float(words[0]), None if words[1] == "-" else float(words[1])
            if self._advance is None:
                self._counted = words[1:]
                self._advance = self._shown.enter_context(progress(words[2], total, words[2]))
            self._advance(done - self._done)
            self._done = done

    def close(self) -> None:
        """Take the progress away, because what it counts has ended."""
        self._shown.close()
        self._advance, self._done = None, 0.0
