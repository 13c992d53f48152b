"""What kfp.local's output says of the steps: begun, done, taken from the cache, failed, and why."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from tuning.errors import TuningError
from tuning.pipelines.steps.process import ERROR_MARK
from tuning.pipelines.tuning import STEPS

_COLOUR = re.compile(r"\x1b\[\d+m")
_BEGUN = re.compile(r"INFO - Executing task '([\w-]+)'")
_ENDED = re.compile(r"(?:INFO|ERROR) - Task '([\w-]+)' finished with status (SUCCESS|FAILURE)")
_CACHED = re.compile(r"INFO - Task ([\w-]+) cache hit ")
# What reaches the person of a step's own lines: how a training stands.
_SHOWN = re.compile(r"step \d+/\d+: |resuming from |\d+ of \d+ training examples |(note|error): ")

# What the shell around a step says of its end.
_KILLED = re.compile(r"(Killed|Segmentation fault|Aborted|Bus error)( \(core dumped\))?")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    seconds: float  # 0 where it was taken from the cache
    cached: bool


@dataclass
class Events:
    """Feed it the runner's lines as they come."""

    show: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    steps: list[Step] = field(default_factory=list)
    failed: str = ""
    _running: str = ""
    _since: float = 0.0
    _lines: list[str] = field(default_factory=list)  # since the last step began, the last few

    def feed(self, line: str) -> None:
        line = _COLOUR.sub("", line.rstrip("\n"))
        if found := _CACHED.search(line):
            self._add(Step(name=found[1], seconds=0.0, cached=True))
        elif found := _BEGUN.search(line):
            self._running, self._since, self._lines = found[1], self.clock(), []
        elif found := _ENDED.search(line):
            if found[2] == "FAILURE":
                self.failed = found[1]
            else:
                self._add(Step(name=found[1], seconds=round(self.clock() - self._since, 1), cached=False))
            self._running = ""
        elif not self.failed:  # what follows a failure is the runner's own traceback
            self._lines = [*self._lines[-50:], line.strip()]
            if self._running and _SHOWN.match(line.strip()):
                self.show(f"      {line.strip()}")

    def error(self, log: str) -> TuningError:
        """Why the run failed, as the step itself put it."""
        for line in reversed(self._lines):
            if line.startswith(ERROR_MARK):
                return TuningError(line.removeprefix(ERROR_MARK))
        step = self.failed or self._running
        # How a training stood explains no failure.
        said = [
            line for line in self._lines if line and not line.startswith("[KFP Executor") and not _SHOWN.match(line)
        ]
        failed = f"the step {step} failed" if step else "the run failed"
        if not said or _KILLED.fullmatch(said[-1]):
            return TuningError(
                f"{failed}: the system ended it, as when memory runs out",
                f"Lower --max-length or --batch-size, or see {log}",
            )
        return TuningError(f"{failed}: {said[-1]}", f"See {log}")

    def _add(self, step: Step) -> None:
        if step.name.startswith("importer"):
            return
        self.steps.append(step)
        took = "unchanged, taken from the cache" if step.cached else f"{step.seconds:.1f} s"
        self.show(f"  {STEPS.get(step.name, step.name):22} {took}")
