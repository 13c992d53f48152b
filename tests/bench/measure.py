"""Measure functions side by side: each call in a process of its own, wall seconds and peak memory, medians.

A subject is named ``module:function``; it takes JSON values, does its work and returns a dict of exact counts. The
subjects of one comparison take turns, so that a noisy minute on the machine does not hit only one of them.

Run by hand: python -m tests.bench.measure MODULE:FUNCTION '["argument", …]'
"""

import importlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tuning.progress import progress

ROOT = Path(__file__).resolve().parents[2]
THRESHOLDS = Path(__file__).with_name("thresholds.json")


@dataclass(frozen=True)
class Subject:
    """What to measure: ``module:function`` and its arguments, which must be JSON."""

    name: str
    function: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Medians over the calls. `peak` is bytes of resident memory; `counts` were the same each time."""

    name: str
    seconds: float
    cpu_seconds: float
    peak: int
    counts: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the benchmark's table. `rate` is `unit` a second; `ratio` how many times as fast as `baseline`."""

    name: str
    baseline: str
    unit: str
    rate: float
    ratio: float
    peak: int
    counts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(subjects: Sequence[Subject], repeat: int = 5) -> list[Measured]:
    """Each subject's medians, in the given order. Raises RuntimeError when counts differ between two calls."""
    calls: list[list[dict[str, Any]]] = [[] for _ in subjects]
    with progress(subjects[0].name, repeat * len(subjects), "calls") as advance:
        for _ in range(repeat):
            for subject_calls, subject in zip(calls, subjects, strict=True):
                subject_calls.append(_call_apart(subject))
                advance(1)
    return [_median(subject, subject_calls) for subject, subject_calls in zip(subjects, calls, strict=True)]


def row(subject: Measured, baseline: Measured, amount: float, unit: str) -> Row:
    """`subject` against `baseline`, both having worked through `amount` of `unit` (MB, rows …)."""
    ratio = baseline.seconds / subject.seconds
    rate = amount / subject.seconds
    return Row(subject.name, baseline.name, unit, round(rate, 1), round(ratio, 2), subject.peak, subject.counts)


def failures(rows: Sequence[Row]) -> list[str]:
    """What is below its threshold in thresholds.json, or has other counts than stand there."""
    found = []
    limits = json.loads(THRESHOLDS.read_text())
    for one in rows:
        limit = limits.get(one.name, {})
        least = limit.get("ratio", {}).get(one.baseline, 0)
        if one.ratio < least:
            found.append(f"{one.name}: {one.ratio}x {one.baseline}, not {least}x ({limit['reason']})")
        if "counts" in limit and one.counts != limit["counts"]:
            found.append(f"{one.name}: counts are {one.counts}, not {limit['counts']}")
    return found


def _call_apart(subject: Subject) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.measure", subject.function, json.dumps(subject.arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{subject.name} failed:\n{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _median(subject: Subject, calls: list[dict[str, Any]]) -> Measured:
    counts = calls[0]["counts"]
    if any(call["counts"] != counts for call in calls):
        raise RuntimeError(
            f"{subject.name} does not give the same counts each time: {[call['counts'] for call in calls]}"
        )
    medians = {key: statistics.median(call[key] for call in calls) for key in ("seconds", "cpu_seconds", "peak")}
    return Measured(subject.name, medians["seconds"], medians["cpu_seconds"], int(medians["peak"]), counts)


def _call_here(function: str, arguments: list[Any]) -> dict[str, Any]:
    module, _, name = function.partition(":")
    body = getattr(importlib.import_module(module), name)  # imports are not measured
    wall, cpu = time.perf_counter(), time.process_time()
    counts = body(*arguments)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    used = max(peak_of_this_process(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)  # or of a child
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak": used, "counts": counts}


def peak_of_this_process() -> int:
    """Return the peak memory in bytes. Linux only.

    Not by RUSAGE_SELF: in a new process it begins at the peak of the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(json.dumps(_call_here(sys.argv[1], json.loads(sys.argv[2]))))
