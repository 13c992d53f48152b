import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions

# Tunes in a process whose files may not outgrow a limit, as on a disk that fills up.
_LIMITED = """
import resource, sys
from pathlib import Path
from tuning.dataset.dataset import open_dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions
dataset, model, output, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
options = TuneOptions(base_model=model, steps=2, batch_size=2, max_length=256)
try:
    HfTuner().tune(Settings(home=Path(output)), open_dataset(Path(dataset)), options, Path(output))
except TuningError as error:
    print(f"ONE LINE: {error}")
"""

# Tunes in a process that gets no more memory from its first training step on.
_CROWDED = """
import resource, sys
from pathlib import Path
import psutil
from tuning.dataset.dataset import open_dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.protocol import TuneOptions
set_up_libraries()
from tuning.tuners.hf.train import training
class Crowded(training.ProgressLines):
    def on_step_begin(self, *arguments, **named):
        super().on_step_begin(*arguments, **named)
        used = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (used, used))
training.ProgressLines = Crowded
dataset, model, output = sys.argv[1:]
options = TuneOptions(base_model=model, steps=2, batch_size=64, max_length=2048)
try:
    HfTuner().tune(Settings(home=Path(output)), open_dataset(Path(dataset)), options, Path(output))
except TuningError as error:
    print(f"ONE LINE: {error}")
"""


@pytest.mark.slow
def test_a_disk_that_fills_up_while_saving_leaves_no_model(dataset: Dataset, local_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = [str(dataset.folder), str(local_model), str(output), "400000"]  # checkpoints fit, the model does not
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, *arguments], capture_output=True, text=True, timeout=300, check=True
    )
    last = done.stdout.splitlines()[-1]
    assert (
        last == "ONE LINE: a file reached the limit of file size. "
        "Raise the limit (`ulimit -f`), then run the command again to resume"
    )
    assert not (output / "merged").exists()
    assert not (output / "finished.json").exists()
    assert not list(output.glob(".merged*"))
    model = HfTuner().tune(
        Settings(home=output),
        dataset,
        TuneOptions(base_model=str(local_model), steps=2, batch_size=2, max_length=256),
        output,
    )
    assert model.facts["resumed_from_step"] == 2
    assert (output / "merged" / "model.safetensors").exists()


@pytest.mark.slow
def test_memory_that_runs_out_while_training_leaves_no_model(
    dataset: Dataset, local_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    arguments = [str(dataset.folder), str(local_model), str(output)]
    done = subprocess.run(
        [sys.executable, "-c", _CROWDED, *arguments], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.splitlines()[-1] == (
        "ONE LINE: there is not enough memory for this model. "
        "Lower --max-length or --batch-size, leave out --full, or choose a smaller --base-model"
    )
    assert not [path for path in output.iterdir() if path.name in ("merged", "adapter", "finished.json")]


def test_memory_that_onednn_does_not_get_is_one_line_and_what_it_cannot_do_is_not() -> None:
    with pytest.raises(TuningError, match="there is not enough memory"), in_one_line():
        raise RuntimeError("could not create a primitive")
    with pytest.raises(RuntimeError, match="descriptor"), in_one_line():
        raise RuntimeError("could not create a primitive descriptor for a matmul primitive")


def test_memory_that_does_not_suffice_is_one_line() -> None:
    import torch

    with pytest.raises(TuningError, match="there is not enough memory for this model"), in_one_line():
        torch.empty(10**15)


def test_a_full_disk_is_one_line() -> None:
    with pytest.raises(TuningError, match="the disk became full"), in_one_line(), open("/dev/full", "wb") as full:  # noqa: PTH123
        full.write(b"x" * 100_000)


def test_a_full_disk_under_safetensors_is_one_line(tmp_path: Path) -> None:
    from safetensors import SafetensorError

    with pytest.raises(TuningError, match="the disk became full"), in_one_line():
        raise SafetensorError(f"Error while serializing: I/O error: {os.strerror(errno.ENOSPC)} (os error 28)")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), in_one_line():
        raise RuntimeError("shapes do not match")
