"""Several processes train the model that one process trains, from the same rows in the same order."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import msgspec
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
from tuning.tuners.hf.train.processes import (
    ALONE,
    Group,
    LostPeerError,
    Nodes,
    check_group,
    count_processes,
    find_nodes,
    join,
    launch,
)
from tuning.tuners.hf.train.recipe import Recipe, make_recipe
from tuning.tuners.hf.train.rows import Rows, read_rows
from tuning.tuners.hf.train.run import Start, run
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import Model, TuneOptions

QUICK = TuneOptions(base_model="tiny", steps=3, batch_size=4, max_length=256)


@pytest.fixture
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.tuners.hf.train.run.find_processor", lambda: Processor("cpu", "fp32", "a processor"))


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


def check_equal(alone: Path, together: Path, shard: bool = False) -> None:
    """Weights within 1e-5, evaluation losses within 1e-6, and the same number of points in the curves.

    Shares of the weights add up the norm of the gradients in another order: then losses are within 1e-5.
    """
    for name in ("merged/model.safetensors", "adapter/adapter_model.safetensors"):
        if (alone / name).exists():
            weights, others = load_file(alone / name), load_file(together / name)
            assert weights.keys() == others.keys()
            assert max(float((weights[key] - others[key]).abs().max()) for key in weights) < 1e-5
    curves, others = (json.loads((folder / "curves.json").read_text()) for folder in (alone, together))
    for name, near in (("development", 1e-5 if shard else 1e-6), ("train", 1e-5)):
        assert [point["step"] for point in curves[name]] == [point["step"] for point in others[name]]
        for point, other in zip(curves[name], others[name], strict=True):
            assert math.isclose(point["loss"], other["loss"], rel_tol=0, abs_tol=near)
    facts, others = (json.loads((folder / "finished.json").read_text())["facts"] for folder in (alone, together))
    for name in ("rows_used", "steps", "parameters_trained", "development_loss"):
        assert facts[name] == pytest.approx(others[name], abs=2e-4)  # rounded to 1e-4


@pytest.fixture(scope="module")
def alone_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process writes."""
    folder = tmp_path_factory.mktemp("one-process") / "alone"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuning.tuners.hf.train.run.find_processor", lambda: Processor("cpu", "fp32", "a processor"))
        HfTuner().tune(Settings(home=folder.parent / "home"), dataset, QUICK, folder)
    torch.set_num_threads(threads)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "shard",
    [pytest.param(False, marks=pytest.mark.hard), True],  # the two machines below also have all weights each
    ids=["with all weights", "with shares of the weights"],
)
def test_two_processes_train_the_same_model_as_one(
    shard: bool,
    dataset: Dataset,
    settings: Settings,
    tmp_path: Path,
    alone_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    alone = msgspec.json.decode((alone_folder / "finished.json").read_bytes(), type=Model)
    monkeypatch.setattr("tuning.tuners.hf.tuner.count_processes", lambda *_: 2)
    monkeypatch.setattr("tuning.tuners.hf.train.run.run", group_tuning.run)
    options = msgspec.structs.replace(QUICK, shard=shard)
    together = HfTuner().tune(settings, dataset, options, tmp_path / "together")
    assert ("2 processes share the weights (FSDP2)" in capfd.readouterr().out) == shard
    check_equal(alone_folder, tmp_path / "together", shard)
    assert rows_read(tmp_path / "together", 2) == rows_planned(settings, dataset, QUICK, tmp_path / "rows")
    assert together.facts["tokens"] == alone.facts["tokens"]
    assert len(list((tmp_path / "together" / "tensorboard").iterdir())) == 1
    left = {path.name for path in (tmp_path / "together").iterdir()} - {"rows-0.jsonl", "rows-1.jsonl"}
    assert left == {path.name for path in alone_folder.iterdir()}


def cluster(rank: int, port: int = 2222) -> str:
    """CLUSTER_SPEC as Vertex AI sets it on the machine with this rank, of three with names, or of two with a port."""
    names = ["127.0.0.1"] * 2 if port != 2222 else [f"cmle-training-workerpool{pool}-ab-{n}" for pool, n in
                                                    ((0, 0), (1, 0), (1, 1))]  # fmt: skip
    chief, *others = [f"{name}:{port}" for name in names]
    task = {"type": "workerpool1", "index": rank - 1} if rank else {"type": "workerpool0", "index": 0}
    pools = {"workerpool0": [chief], "workerpool1": others}
    return json.dumps({"cluster": pools, "environment": "cloud", "task": task, "job": "{}"})


@pytest.mark.slow
def test_two_machines_of_a_job_train_the_same_model_as_one_process(
    dataset: Dataset, alone_folder: Path, tmp_path: Path
) -> None:
    """Each machine has one process. Several on each, as with several GPUs, are not covered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = json.dumps({"steps": QUICK.steps, "batch_size": QUICK.batch_size, "max_length": QUICK.max_length})
    machines = []
    for rank in (0, 1):  # each has a disk of its own, and Vertex AI numbers the machines in RANK
        environment = os.environ | {
            "PYTHONPATH": str(PROJECT_ROOT), "CLUSTER_SPEC": cluster(rank, port), "RANK": str(rank), "WORLD_SIZE": "2",
        }  # fmt: skip
        command = [sys.executable, group_tuning.__file__, str(dataset.folder), "tiny"]
        machines.append(
            subprocess.Popen(
                [*command, str(tmp_path / f"machine{rank}" / "out"), options, "0"],
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
        )  # fmt: skip
    said = [machine.communicate(timeout=500)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], "".join(said)
    chief, other = (tmp_path / f"machine{rank}" / "out" for rank in (0, 1))
    check_equal(alone_folder, chief)
    assert "training in 1 process on each of 2 machines" in said[0]
    assert not {path.name for path in other.iterdir()} & {"merged", "finished.json", "curves.json", "README.md"}
    shutil.copy(other / "rows-1.jsonl", chief)
    settings = Settings(home=tmp_path / "home")
    assert rows_read(chief, 2) == rows_planned(settings, dataset, QUICK, tmp_path / "rows")


def test_the_machines_of_a_job_are_read_as_vertex_ai_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_nodes() == Nodes(1, 0, "")
    address = "cmle-training-workerpool0-ab-0:2222"
    for rank in range(3):
        monkeypatch.setenv("CLUSTER_SPEC", cluster(rank))
        assert find_nodes() == Nodes(3, rank, address)
    started(monkeypatch, RANK="2", WORLD_SIZE="3")  # Vertex AI counts machines
    assert join() is ALONE
    monkeypatch.setenv(
        "CLUSTER_SPEC", '{"cluster": {"workerpool0": ["a:1"]}, "task": {"type": "workerpool1", "index": 0}}'
    )
    with pytest.raises(TuningError, match="CLUSTER_SPEC does not name this machine"):
        find_nodes()


def test_what_several_machines_cannot_share_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 4)
    assert count_processes(8, False, nodes=2) == 4
    assert count_processes(12, False, nodes=3) == 4
    assert count_processes(6, False, nodes=2) == 3
    with pytest.raises(TuningError, match=r"a batch of 8 cannot be divided among 3 machines.* multiple of 3"):
        count_processes(8, False, nodes=3)
    with pytest.raises(TuningError, match=r"\(DPO\) runs on one machine\. Leave out --nodes"):
        count_processes(8, True, nodes=2)


def _fail(how: str, group: Group) -> None:
    if group.rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise (TuningError("line 7 is wrong", "Correct it") if how == "wrong" else KeyError(how))
    group.wait()


def test_the_error_of_a_process_ends_the_others_and_is_the_error_of_all() -> None:
    with pytest.raises(TuningError, match=r"line 7 is wrong\. Correct it\.$"):
        launch(2, Nodes(), _fail, "wrong")


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
    [
        {},
        {"lora_rank": 4},
        {"max_length": 1024, "batch_size": 16},
        {"quantize": "4bit", "lora_rank": 4},
        {"shard": True},
        {"shard": True, "lora_rank": 4},
        {"shard": True, "lora_rank": 4, "max_length": 2100, "batch_size": 16},  # with activation checkpointing
    ],
    ids=[
        "all weights",
        "adapter",
        "in several passes",
        "quantized",
        "shared",
        "shared adapter",
        "shared, in several passes",
    ],
)
def test_processes_of_torchrun_train_the_same_model_as_one(
    size: int, more: dict[str, Any], dataset: Dataset, settings: Settings, tmp_path: Path, in_fp32: None
) -> None:
    options, given = options_of(size, **more)
    HfTuner().tune(settings, dataset, msgspec.structs.replace(options, shard=False), tmp_path / "alone")
    done = torchrun(size, dataset, tmp_path / "together", given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training on ") == 1
    check_equal(tmp_path / "alone", tmp_path / "together", options.shard)
    read = rows_read(tmp_path / "together", size)
    assert read == rows_planned(settings, dataset, options, tmp_path / "rows")[: len(read)]


@pytest.mark.hard
@pytest.mark.parametrize("more", [{}, {"shard": True}, {"shard": True, "lora_rank": 4}])
def test_a_tuning_in_processes_of_which_one_was_killed_goes_on(
    more: dict[str, Any], dataset: Dataset, settings: Settings, tmp_path: Path, in_fp32: None
) -> None:
    options, given = options_of(2, steps=12, **more)  # a checkpoint at step 6
    HfTuner().tune(settings, dataset, msgspec.structs.replace(options, shard=False), tmp_path / "alone")
    killed = torchrun(2, dataset, tmp_path / "together", given, dies=8)
    assert killed.returncode != 0
    assert not (tmp_path / "together" / "finished.json").exists()
    done = torchrun(2, dataset, tmp_path / "together", given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("resuming from step 6 of 12") == 1
    check_equal(tmp_path / "alone", tmp_path / "together", options.shard)


@pytest.mark.hard
def test_a_killed_process_is_one_line_and_a_bug_keeps_its_traceback() -> None:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    with pytest.raises(TuningError, match=r"a training process was killed .*SIGKILL"):
        launch(2, Nodes(), _fail, "killed")
    with pytest.raises(ChildFailedError, match="KeyError: 'unheard of'"):
        launch(2, Nodes(), _fail, "unheard of")


def test_of_several_machines_the_loss_of_one_is_told_apart_from_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed import DistNetworkError
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    killed = ChildFailedError("work", {0: ProcessFailure(0, 1, -signal.SIGKILL, "/nowhere")})
    for nodes, error, expected in (
        (Nodes(2, 1, "a:1"), killed, LostPeerError),
        (Nodes(2, 1, "a:1"), DistNetworkError("no answer"), LostPeerError),
        (Nodes(), killed, TuningError),
    ):

        def launcher(*_: object, error: Exception = error) -> Any:
            def fail(*_: object) -> None:
                raise error

            return fail

        monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", launcher)
        with pytest.raises(TuningError) as caught:
            launch(1, nodes, _fail, "killed")
        assert type(caught.value) is expected


def test_the_processes_of_a_machine_wait_until_the_checkpoints_are_there(
    dataset: Dataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Watched(Group):
        def wait(self) -> None:
            seen.append("wait")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tuning.tuners.hf.train.run.fetch_checkpoints", lambda *_: seen.append("fetch"))
    monkeypatch.setattr("tuning.tuners.hf.train.training.training_model", stop)
    recipe = make_recipe(QUICK, preference=False)
    with pytest.raises(KeyboardInterrupt):
        run(settings, dataset, "tiny", recipe, tmp_path, Start(checkpoints="gs://bucket/checkpoints"), Watched())
    assert seen[-2:] == ["fetch", "wait"]


def test_each_process_computes_as_many_losses_and_none_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows in two processes, which would wait for each other forever if they shared weights."""
    from tuning.tuners.hf.train import sft_trainer

    computed: list[list[int]] = []
    counted: list[float] = []

    def losses(_: Any, rows: list[tuple[list[int], int]]) -> list[tuple[float, int]]:
        computed.append([ids[0] for ids, _ in rows])
        return [(float(ids[0]), 1) for ids, _ in rows]

    def gather(own: list[float]) -> list[float]:
        counted.extend(own)
        return own

    monkeypatch.setattr(sft_trainer, "example_losses", losses)
    monkeypatch.setattr(sft_trainer, "gather_object", gather)
    for rank in (0, 1):
        trainer = MagicMock(eval_dataset=[{"ids": [number], "answer_start": 0} for number in range(3)])
        trainer.accelerator.process_index, trainer.accelerator.num_processes = rank, 2
        sft_trainer.AnswerTrainer.evaluate(trainer)
    assert list(map(len, computed)) == [2, 2]
    assert sorted(counted) == [0, 1, 2]


@pytest.mark.parametrize("shard", [False, True])
def test_a_training_goes_on_only_as_it_began(shard: bool, tmp_path: Path) -> None:
    from datasets import Dataset as Table

    from tuning.tuners.hf.train.training import Log, train

    checkpoint = tmp_path / "checkpoints" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text('{"best_model_checkpoint": null}')
    for name in ("complete", *(["pytorch_model_fsdp.bin"] * (not shard))):
        (checkpoint / name).touch()
    table = Table.from_dict({"ids": [[1, 2]] * 8, "answer_start": [1] * 8, "length": [2] * 8})
    rows, recipe = Rows(table, table.select([]), 8, 0), Recipe(steps=2, batch_size=4, shard=shard)
    with pytest.raises(TuningError, match=f"was killed when GPUs did {'not ' * shard}share the weights"):
        train(None, None, rows, recipe, Processor("cpu", "fp32", "a processor"), Log(tmp_path))


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
        ({"ACCELERATE_USE_FSDP": "true"}, "takes no FSDP from the launcher"),
        ({"ACCELERATE_USE_DEEPSPEED": "True"}, "takes no DeepSpeed from the launcher"),
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
    arguments = _arguments(Recipe(), Processor("cpu", "fp32", "a processor"), 1, tmp_path, False, False, 1)
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
