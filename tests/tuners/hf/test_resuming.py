import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import locked, sha256_of
from tuning.tuners.hf.train import training
from tuning.tuners.hf.train.checkpoints import mark_complete, newest_checkpoint
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions

STEPS = 60

_TUNE = f"""
import sys
from pathlib import Path
from tuning.dataset.dataset import open_dataset
from tuning.settings import Settings
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions
dataset, model, output = sys.argv[1:]
options = TuneOptions(base_model=model, steps={STEPS}, batch_size=2, max_length=256, learning_rate=0.005)
HfTuner().tune(Settings(home=Path(output)), open_dataset(Path(dataset)), options, Path(output))
"""


@pytest.mark.slow
def test_a_tuning_killed_half_way_goes_on_and_ends_as_an_unbroken_one(
    dataset: Dataset, local_model: Path, settings: Settings, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    command = [sys.executable, "-c", _TUNE, str(dataset.folder), str(local_model), str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith(f"step {STEPS // 2}/{STEPS}: loss"):
                process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (output / "finished.json").exists()
    options = TuneOptions(base_model=str(local_model), steps=STEPS, batch_size=2, max_length=256, learning_rate=0.005)
    resumed = HfTuner().tune(settings, dataset, options, output)
    unbroken = HfTuner().tune(settings, dataset, options, tmp_path / "unbroken")
    assert resumed.facts["resumed_from_step"] in (STEPS // 2 - STEPS // 10, STEPS // 2)
    assert resumed.facts["development_loss"] == pytest.approx(unbroken.facts["development_loss"], rel=0.02)
    assert (output / "curves.json").read_text().count('"step"') == (
        tmp_path / "unbroken" / "curves.json"
    ).read_text().count('"step"')


@pytest.mark.parametrize(
    ("steps", "killed_at", "ends_at"),
    [(20, 6, 8), (4, 4, 4), (20, 8, 8)],
    ids=["in training", "in saving", "in saving, without patience"],
)
def test_a_tuning_that_goes_on_in_another_folder_ends_with_the_weights_of_an_unbroken_one(
    dataset: Dataset,
    local_model: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    killed_at: int,
    ends_at: int,
) -> None:
    """With this rate, an early model is the best one, and of 20 steps, patience ends at step 8."""
    options = TuneOptions(
        base_model=str(local_model), steps=steps, batch_size=2, max_length=256, learning_rate=0.3, full=True
    )

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    class Killed(training.ProgressLines):
        def on_step_begin(self, *given: Any, **more: Any) -> None:
            super().on_step_begin(*given, **more)
            if given[1].global_step == killed_at:
                kill()

    with monkeypatch.context() as patch:
        patch.setattr(training, "ProgressLines", Killed)
        patch.setattr("tuning.tuners.hf.train.run.save_full", kill)
        with pytest.raises(KeyboardInterrupt):
            HfTuner().tune(settings, dataset, options, tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "second")
    resumed = HfTuner().tune(settings, dataset, options, tmp_path / "second")
    unbroken = HfTuner().tune(settings, dataset, options, tmp_path / "unbroken")
    assert resumed.facts["resumed_from_step"] == killed_at
    assert resumed.facts["steps"] == unbroken.facts["steps"] == ends_at
    one, other = (sha256_of(tmp_path / name / "merged" / "model.safetensors") for name in ("second", "unbroken"))
    assert one == other


def test_a_checkpoint_that_was_not_finished_does_not_count(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "weights").write_bytes(b"x")
    mark_complete(tmp_path, 10)
    mark_complete(tmp_path, 20)
    assert newest_checkpoint(tmp_path) == (tmp_path / "checkpoint-20", 20)
    assert not (tmp_path / "checkpoint-30").exists()


def test_two_tunings_never_write_into_one_folder(
    dataset: Dataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.tuners.hf.tuner.LOCK_SECONDS", 0.1)
    output = tmp_path / "out"
    with (
        locked(tmp_path / ".out.lock", "the tuning"),
        pytest.raises(TuningError, match=r"the tuning in .*/out is in use by another process"),
    ):
        HfTuner().tune(settings, dataset, TuneOptions(base_model="tiny"), output)
