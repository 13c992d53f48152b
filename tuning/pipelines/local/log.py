"""Read from kfp.local's output which steps began, ended, came from the cache or failed, and why."""

import contextlib
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from tuning.errors import TuningError
from tuning.pipelines.outcome import Step
from tuning.pipelines.steps.process import ERROR_MARK, NO_CHAMPION
from tuning.pipelines.tuning import CHAMPION_STEP, STEPS
from tuning.progress import Relay, is_relayed, is_shown, stage

_COLOUR = re.compile(r"\x1b\[\d+m")
_BEGUN = re.compile(r"INFO - Executing task '([\w-]+)'")
_ENDED = re.compile(r"(?:INFO|ERROR) - Task '([\w-]+)' finished with status (SUCCESS|FAILURE)")
_CACHED = re.compile(r"INFO - Task ([\w-]+) cache hit ")
# The lines of a step that the user sees: training progress, notes and errors.
_SHOWN = re.compile(
    r"step \d+/\d+: |resuming from |training on \d|saved model: |answer(?:ing|ed) \d|asking the |(note|error): "
)
_COUNTED = re.compile(r"answered \d")  # lines that say no more than the display of `tuning.progress`

# The message of the shell if the step's process was killed.
_KILLED = re.compile(r"(Killed|Segmentation fault|Aborted|Bus error)( \(core dumped\))?")


class Stages(NamedTuple):
    """Count the stages of a command for the display: those before its pipeline, and all (0: it is not known).

    The steps in `idle` have nothing to do in this run, so they are not among its stages and steps.
    """

    before: int = 0
    all: int = 0
    idle: Collection[str] = ()


UNKNOWN = Stages()


@dataclass
class Events:
    """Collect the events of a run from the lines that the runner prints, and show progress.

    The display shows each step as one of the `stages`. Call `close` at the end.
    """

    show: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    stages: Stages = UNKNOWN
    steps: list[Step] = field(default_factory=list)
    failed: str = ""
    _running: str = ""
    _since: float = 0.0
    _lines: list[str] = field(default_factory=list)  # at most 51 lines, all printed since the latest step began
    _shown: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _relay: Relay = field(default_factory=Relay)

    def feed(self, line: str) -> None:
        """Process the next line of the runner's output."""
        line = _COLOUR.sub("", line.rstrip("\n"))
        if is_relayed(line.strip()):
            self._relay.take(line.strip())
        elif found := _CACHED.search(line):
            self._add(Step(name=found[1], seconds=0.0, cached=True))
        elif found := _BEGUN.search(line):
            self._running, self._since = found[1], self.clock()
            self._lines = self._lines if self.failed else []  # an exit step runs after a failed one
            self.close()
            if not found[1].startswith("importer") and found[1] not in self.stages.idle:
                number = self.stages.before + len(self.steps) + 1
                self._shown.enter_context(stage(found[1].replace("-", " "), number, self.stages.all))
        elif found := _ENDED.search(line):
            self.close()
            if found[2] == "FAILURE":
                self.failed = self.failed or found[1]
            else:
                self._add(Step(name=found[1], seconds=round(self.clock() - self._since, 1), cached=False))
            self._running = ""
        elif not self.failed:  # ignores the runner's own traceback after a failed step
            self._lines = [*self._lines[-50:], line.strip()]
            if line.strip() == NO_CHAMPION:
                self.stages = self.stages._replace(idle=(*self.stages.idle, CHAMPION_STEP))
            if self._running and _SHOWN.match(line.strip()) and not (is_shown() and _COUNTED.match(line.strip())):
                self.show(f"      {line.strip()}")

    def close(self) -> None:
        """Take the step that runs off the display."""
        self._relay.close()
        self._shown.close()

    def error(self, log: str) -> TuningError:
        """Return the error of a failed run, with the step's own message if there is one. `log` is the log's path."""
        for line in reversed(self._lines):
            if line.startswith(ERROR_MARK):
                return TuningError(line.removeprefix(ERROR_MARK))
        step = self.failed or self._running
        # Progress lines do not explain a failure.
        messages = [
            line for line in self._lines if line and not line.startswith("[KFP Executor") and not _SHOWN.match(line)
        ]
        failed = f"the step {step} failed" if step else "the run failed"
        if not messages or _KILLED.fullmatch(messages[-1]):
            return TuningError(
                f"{failed}: the system killed it, possibly because memory ran out",
                f"Reduce --max-length or --batch-size, or see {log}",
            )
        return TuningError(f"{failed}: {messages[-1]}", f"See {log}")

    def _add(self, step: Step) -> None:
        if step.name.startswith("importer") or step.name in self.stages.idle:
            return
        self.steps.append(step)
        took = "unchanged, taken from the cache" if step.cached else f"{step.seconds:.1f} s"
        self.show(f"  {STEPS.get(step.name, step.name):22} {took}")
