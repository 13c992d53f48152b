"""Run the benchmarks, print their table, write it as JSON. `invoke bench` calls `run`."""

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import THRESHOLDS, Row, failures
from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, Settings
from tuning.storage import write_json

PREPARATION = ("clean", "ingest", "dataset")  # of data; NAME is tests/bench/NAME_bench.py
NOTHING = 0  # bytes: a row that measured no memory


def run(settings: Settings, only: str, repeat: int, train: bool, gpu: bool) -> list[str]:
    """Run what is asked for and return what failed: counts that differ from those in thresholds.json.

    Ratios below their threshold are marked in the table and fail nothing: a busy machine is no fault of the code.
    """
    if gpu:
        from tests.bench.gpu_bench import gpu_bench

        gpu_bench()
        return []
    if only and only not in PREPARATION:
        raise TuningError(f"there is no benchmark {only!r}", f"Choose one of: {', '.join(PREPARATION)}")
    rows: list[Row] = []
    for name, found in _rows(settings, (only,) if only else PREPARATION, repeat, train):
        print(f"{name}\n  {'what':40} {'against':36} {'rate':>22} {'ratio':>8} {'peak':>9}  counts")
        for row in found:
            print(f"  {_line(row)}")
        rows += found
    path = settings.home / "bench.json"
    write_json(path, [row.as_json() for row in rows])
    print(f"written to {path}")
    slow = failures(rows)
    for line in slow:
        print(f"below its threshold: {line}")
    limits = json.loads(THRESHOLDS.read_text())
    return [
        f"{row.name}: counts are {row.counts}, not {limits[row.name]['counts']}"
        for row in rows
        if row.counts != limits.get(row.name, {}).get("counts", row.counts)
    ]


def _rows(settings: Settings, names: tuple[str, ...], repeat: int, train: bool) -> Iterator[tuple[str, list[Row]]]:
    if train:
        from tests.bench.train_bench import bench

        yield "train", bench(settings)
        return
    data = Path(os.environ.get("TUNING_TEST_DATA") or PROJECT_ROOT.parent / "shared" / "data")
    if not data.is_dir():
        raise TuningError(f"no real data in {data}", "TUNING_TEST_DATA names its folder")
    for name in names:
        yield name, importlib.import_module(f"tests.bench.{name}_bench").bench(data, repeat)


def _line(row: Row) -> str:
    rate = f"{row.rate:,.0f} {row.unit}/s"
    peak = f"{row.peak / 1e6:,.0f} MB" if row.peak != NOTHING else "-"
    return f"{row.name:40} {row.baseline:36} {rate:>22} {row.ratio:>7.2f}x {peak:>9}  {row.counts or ''}"
