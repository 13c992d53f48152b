"""Train one model in several processes, one for each GPU.

Each process computes its share of every batch, and DistributedDataParallel averages the gradients
(https://docs.pytorch.org/docs/stable/notes/ddp.html). Only the main process writes.
"""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from tuning.errors import TuningError
from tuning.resource_errors import in_one_line
from tuning.tuners.hf.environment import set_up_libraries

Value = TypeVar("Value")

# Maximum wait for the main process, which encodes the rows and saves the model alone. If a process dies, the launcher
# ends the others at once.
_LONGEST_WAIT = timedelta(hours=6)
_BY_HAND = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")  # set by torchrun and by accelerate
_UNSUPPORTED = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}


@dataclass(frozen=True)
class Group:
    """Describe the processes that train a model together, from the view of one of them."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Return whether this is the process that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            import torch

            torch.distributed.barrier()

    def tell(self, value: Value | None) -> Value:
        """Return the value of the main process in all processes. What the others give does not count."""
        values: list[Any] = [value]
        if self.size > 1:
            import torch

            torch.distributed.broadcast_object_list(values, src=0)
        return values[0]  # type: ignore[no-any-return]


ALONE = Group()


def was_started_in_group() -> bool:
    """Return whether torchrun or accelerate started this process as one of several."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ


def join() -> Group:
    """Join the other processes that torchrun or accelerate started, and return the group, or ALONE.

    Raises TuningError if the processes are on several machines, if there are fewer GPUs than processes, or if the
    launcher asks for a way of sharing the model's weights.
    """
    if not was_started_in_group():
        return ALONE
    rank, size, local_size = (int(os.environ.get(name) or os.environ["WORLD_SIZE"]) for name in _BY_HAND)
    for name, what in _UNSUPPORTED.items():
        if os.environ.get(name, "").lower() == "true":
            raise TuningError(f"the tuner hf does not support {what}", "Start the processes without it, by torchrun")
    if size != local_size:
        raise TuningError(
            f"{size} processes were started, but only {local_size} on this machine, and the tuner hf uses one machine",
            "Start all of them on one machine",
        )
    set_up_libraries()
    import torch
    from accelerate import PartialState

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if 0 < gpus < size:
        raise TuningError(f"{size} processes were started, but there are {gpus} GPUs", f"Start {gpus} processes")
    PartialState(cpu=gpus == 0, timeout=_LONGEST_WAIT)
    return Group(rank, size)


def check_group(group: Group, batch_size: int, preference: bool) -> None:
    """Raise TuningError if the tuning cannot be shared among the processes that were started."""
    if group.size == 1:
        return
    if preference:
        raise TuningError("tuning on preferences (DPO) runs in one process", "Start it without torchrun or accelerate")
    if batch_size % group.size:
        raise TuningError(
            f"a batch of {batch_size} cannot be divided among {group.size} processes",
            f"Use a --batch-size that is a multiple of {group.size}",
        )


def count_processes(batch_size: int, preference: bool) -> int:
    """Return the number of processes to start: that of the GPUs, or the next smaller one that divides the batch."""
    set_up_libraries()
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 1
    fitting = 1 if preference else max(count for count in range(1, gpus + 1) if batch_size % count == 0)
    if fitting < gpus:
        why = "preferences are tuned on one" if preference else f"a batch of {batch_size} is not divisible by {gpus}"
        print(f"note: {fitting} of {gpus} GPUs are used: {why}", flush=True)
    return fitting


def launch(count: int, work: Callable[..., None], *arguments: object) -> None:
    """Call `work` with the arguments and the group in `count` new processes, and wait for them.

    If a process fails, the others are ended. Raises its TuningError, or TuningError if it was killed.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        run_id="tuning",
        max_restarts=0,
    )
    for name in ("torch.distributed.elastic", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the error says the same
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    print(f"training in {count} processes", flush=True)
    try:
        elastic_launch(config, _member)(work, *arguments)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        raised = failure.message["message"] if isinstance(failure.message, dict) else ""  # KIND: TEXT
        kind, _, text = raised.partition(": ")
        if kind == TuningError.__name__:
            raise TuningError(text) from None
        if failure.exitcode < 0:
            raise TuningError(
                f"a training process was killed ({failure.message})",
                "Run the command again to resume; if memory ran out, lower --max-length or --batch-size",
            ) from None
        raise


def _member(work: Callable[..., None], *arguments: object) -> None:
    # torch sends SIGINT to this process if the launcher dies. Python handles it only when no library is waiting.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with in_one_line():
        work(*arguments, join())
