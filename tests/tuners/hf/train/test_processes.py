"""Several processes train the model that one process trains, from the same rows in the same order."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.tuners.hf.train import group_tuning
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, Settings
from tuning.tuners.hf.device import Processor
from tuning.tuners.hf.models.base_models import find_base_model, load_tokenizer
from tuning.tuners.hf.train.batches import plan_batches
from tuning.tuners.hf.train.processes import ALONE, Group, check_group, count_processes, join, launch
from tuning.tuners.hf.train.recipe import Recipe, make_recipe
from tuning.tuners.hf.train.rows import read_rows
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions

QUICK = TuneOptions(base_model="tiny", steps=3, batch_size=4, max_length=256)


@pytest.fixture
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.tuners.hf.train.run.find_processor", lambda: Processor("cpu", False, "a processor"))


def rows_read(output: Path, count: int) -> list[list[int]]:
    """The token IDs of all rows in the order of one process: of each forward pass, those of rank 0 come first."""
    ranks = [
        [json.loads(line) for line in (output / f"rows-{rank}.jsonl").read_text().splitlines()] for rank in range(count)
    ]
    return [row for batches in zip(*ranks, strict=True) for batch in batches for row in batch]


def rows_planned(settings: Settings, dataset: Dataset, options: TuneOptions, work: Path) -> list[list[int]]:
    recipe = make_recipe(options, preference=False)
    tokenizer = load_tokenizer(find_base_model(settings, options.base_model, dataset))
    train = read_rows(tokenizer, dataset, recipe, work).train
    plan = plan_batches(list(train["length"]), recipe.batch_size, recipe.steps, recipe.seed)
    return [train[row]["ids"] for row in plan]


def check_equal(alone: Path, together: Path) -> None:
    """Weights within 1e-5, evaluation losses within 1e-6, and the same number of points in the curves."""
    for name in ("merged/model.safetensors", "adapter/adapter_model.safetensors"):
        if (alone / name).exists():
            weights, others = load_file(alone / name), load_file(together / name)
            assert weights.keys() == others.keys()
            assert max(float((weights[key] - others[key]).abs().max()) for key in weights) < 1e-5
    curves, others = (json.loads((folder / "curves.json").read_text()) for folder in (alone, together))
    for name, near in (("development", 1e-6), ("train", 1e-5)):
        assert [point["step"] for point in curves[name]] == [point["step"] for point in others[name]]
        for point, other in zip(curves[name], others[name], strict=True):
            assert math.isclose(point["loss"], other["loss"], rel_tol=0, abs_tol=near)
    facts, others = (json.loads((folder / "finished.json").read_text())["facts"] for folder in (alone, together))
    for name in ("rows_used", "steps", "parameters_trained", "development_loss"):
        assert facts[name] == pytest.approx(others[name], abs=1e-4)


@pytest.mark.slow
def test_two_processes_train_the_same_model_as_one(
    dataset: Dataset, settings: Settings, tmp_path: Path, in_fp32: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = HfTuner().tune(settings, dataset, QUICK, tmp_path / "alone")
    monkeypatch.setattr("tuning.tuners.hf.tuner.count_processes", lambda *_: 2)
    monkeypatch.setattr("tuning.tuners.hf.train.run.run", group_tuning.run)
    together = HfTuner().tune(settings, dataset, QUICK, tmp_path / "together")
    check_equal(tmp_path / "alone", tmp_path / "together")
    assert rows_read(tmp_path / "together", 2) == rows_planned(settings, dataset, QUICK, tmp_path / "rows")
    assert together.facts["tokens"] == alone.facts["tokens"]
    assert len(list((tmp_path / "together" / "tensorboard").iterdir())) == 1
    left = {path.name for path in (tmp_path / "together").iterdir()} - {"rows-0.jsonl", "rows-1.jsonl"}
    assert left == {path.name for path in (tmp_path / "alone").iterdir()}


def _fail(how: str, group: Group) -> None:
    if group.rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise (TuningError("line 7 is wrong", "Correct it") if how == "wrong" else KeyError(how))
    group.wait()


def test_the_error_of_a_process_ends_the_others_and_is_the_error_of_all() -> None:
    with pytest.raises(TuningError, match=r"line 7 is wrong\. Correct it\.$"):
        launch(2, _fail, "wrong")


def options_of(size: int, **more: Any) -> tuple[TuneOptions, str]:
    options = {"steps": 6, "batch_size": 8, "max_length": 256} | more
    return TuneOptions(base_model="tiny", **options), json.dumps(options)


def torchrun(
    size: int, dataset: Dataset, output: Path, options: str, dies: int = 0
) -> "subprocess.CompletedProcess[str]":
    script = Path(group_tuning.__file__)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(size),
        str(script),
    ]
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    return subprocess.run(
        [*command, str(dataset.folder), "tiny", str(output), options, str(dies)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=500,
        check=False,
    )


@pytest.mark.hard
@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(
    "more",
    [{}, {"lora_rank": 4}, {"max_length": 1024, "batch_size": 16}],
    ids=["all weights", "adapter", "in several passes"],
)
def test_processes_of_torchrun_train_the_same_model_as_one(
    size: int, more: dict[str, Any], dataset: Dataset, settings: Settings, tmp_path: Path, in_fp32: None
) -> None:
    options, given = options_of(size, **more)
    HfTuner().tune(settings, dataset, options, tmp_path / "alone")
    done = torchrun(size, dataset, tmp_path / "together", given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training on ") == 1
    check_equal(tmp_path / "alone", tmp_path / "together")
    read = rows_read(tmp_path / "together", size)
    assert read == rows_planned(settings, dataset, options, tmp_path / "rows")[: len(read)]


@pytest.mark.hard
def test_a_tuning_in_processes_of_which_one_was_killed_goes_on(
    dataset: Dataset, settings: Settings, tmp_path: Path, in_fp32: None
) -> None:
    options, given = options_of(2, steps=12)  # a checkpoint at step 6
    HfTuner().tune(settings, dataset, options, tmp_path / "alone")
    killed = torchrun(2, dataset, tmp_path / "together", given, dies=8)
    assert killed.returncode != 0
    assert not (tmp_path / "together" / "finished.json").exists()
    done = torchrun(2, dataset, tmp_path / "together", given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("resuming from step 6 of 12") == 1
    check_equal(tmp_path / "alone", tmp_path / "together")


@pytest.mark.hard
def test_a_killed_process_is_one_line_and_a_bug_keeps_its_traceback() -> None:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    with pytest.raises(TuningError, match=r"a training process was killed .*SIGKILL"):
        launch(2, _fail, "killed")
    with pytest.raises(ChildFailedError, match="KeyError: 'unheard of'"):
        launch(2, _fail, "unheard of")


def started(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_a_process_that_nothing_started_in_a_group_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert join() is ALONE
    started(monkeypatch, RANK="0", WORLD_SIZE="1", LOCAL_WORLD_SIZE="1")
    assert join() is ALONE


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"LOCAL_WORLD_SIZE": "2"}, "4 processes were started, but only 2 on this machine"),
        ({"ACCELERATE_USE_FSDP": "true"}, "does not support FSDP"),
        ({"ACCELERATE_USE_DEEPSPEED": "True"}, "does not support DeepSpeed"),
        ({}, "4 processes were started, but there are 2 GPUs"),
    ],
)
def test_what_several_processes_cannot_do_is_one_line(
    variables: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, 2)
    started(monkeypatch, **{"RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"} | variables)
    with pytest.raises(TuningError, match=line):
        join()


def test_a_batch_that_cannot_be_divided_and_preferences_are_refused_in_a_group() -> None:
    check_group(ALONE, 5, preference=True)
    check_group(Group(0, 4), 8, preference=False)
    with pytest.raises(TuningError, match=r"a batch of 6 cannot be divided among 4 processes.* multiple of 4"):
        check_group(Group(0, 4), 6, preference=False)
    with pytest.raises(TuningError, match=r"preferences .* in one process"):
        check_group(Group(0, 4), 8, preference=True)


@pytest.mark.parametrize(
    ("count", "batch", "preference", "expected"),
    [(0, 8, False, 1), (1, 8, False, 1), (4, 8, False, 4), (8, 4, False, 4), (3, 4, False, 2), (4, 8, True, 1)],
)
def test_one_process_is_started_for_each_gpu_that_has_a_share_of_the_batch(
    count: int,
    batch: int,
    preference: bool,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpus(monkeypatch, count)
    assert count_processes(batch, preference) == expected
    assert (f"{expected} of {count} GPUs are used" in capsys.readouterr().out) == (expected < count)


def test_one_process_uses_one_gpu_and_never_data_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import TrainingArguments

    from tuning.tuners.hf.train.training import _arguments

    monkeypatch.setattr(TrainingArguments, "__post_init__", lambda self: setattr(self, "_n_gpu", 4))
    monkeypatch.setattr("trl.SFTConfig.__post_init__", TrainingArguments.__post_init__)
    arguments = _arguments(Recipe(), Processor("cpu", False, "a processor"), 1, tmp_path, False, False, 1)
    assert arguments.n_gpu == 1


def test_a_command_that_torchrun_starts_several_times_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = os.environ | {"RANK": "1", "WORLD_SIZE": "2"}
    command = [sys.executable, "-m", "invoke", "config"]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: invoke was started in several processes. Start it once: it starts a process for each GPU\n"
    )
