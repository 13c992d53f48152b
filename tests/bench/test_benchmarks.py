"""The benchmarks themselves: that each can be loaded, and that one counts what it did."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.marts import row, write_snapshot

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["clean", "dataset", "gpu", "ingest", "train"])
def test_each_loads(module: str) -> None:
    importlib.import_module(f"tests.bench.{module}_bench")


@pytest.mark.parametrize("arguments", [[2, "seed"], [1], pytest.param([2, "", "ray"], marks=pytest.mark.hard)])
def test_a_measurement_says_how_many_lines_were_written(tmp_path: Path, arguments: list[object]) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(50)])
    asked = json.dumps([str(snapshot.folder), *arguments])
    program = [sys.executable, "-m", "tests.bench.measure", "tests.bench.dataset_subjects:to_jsonl", asked]
    done = subprocess.run(program, cwd=ROOT, check=True, capture_output=True, text=True)
    measured = json.loads(done.stdout)
    assert sum(measured["counts"].values()) == 50
    assert measured["seconds"] > 0
    assert measured["peak"] > 2**20
