"""Candidates made by hand."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.registry.candidates import candidate
from tests.verdicts import verdict
from tuning.evaluation.records import Verdict
from tuning.registry.records import Candidate
from tuning.tuners.protocol import Model


@pytest.fixture
def model_files(tmp_path: Path) -> Path:
    """A model folder as the pipeline's tuning step writes it, trained on questions 1 to 5."""
    folder = tmp_path / "tuned"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "model.bin").write_bytes(b"weights")
    model = Model(tuner="hf", base_model="small", uri="weights")
    (folder / "model.json").write_bytes(msgspec.json.encode(model))
    np.savez(folder / "trained_on.npz", questions=np.arange(1, 6), groups=np.arange(1, 6))
    return folder


def _verdict(status: str, against: str | None) -> Verdict:
    return verdict("loss", "loss improves" if status == "better" else "loss does not improve", status, against)


@pytest.fixture
def version() -> Callable[..., Candidate]:
    def make(key: str = "k1", status: str = "better", against: str | None = None, **fields: object) -> Candidate:
        return candidate(**{"training_key": key, "verdict": _verdict(status, against)} | fields)

    return make
