"""Train one model in several processes, one for each GPU of a machine, or of several machines of a job on Vertex AI.

Each process computes its share of every batch, and DistributedDataParallel averages the gradients
(https://docs.pytorch.org/docs/stable/notes/ddp.html). Only the main process writes.
"""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec

from tuning.errors import TuningError
from tuning.resource_errors import in_one_line
from tuning.tuners.hf.environment import set_up_libraries

Value = TypeVar("Value")

# Maximum wait for the main process, which encodes the rows and saves the model alone. If a process dies, the launcher
# ends the others at once.
_LONGEST_WAIT = timedelta(hours=6)
_BY_HAND = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")  # set by torchrun and by accelerate
_CLUSTER = "CLUSTER_SPEC"  # set by Vertex AI
_UNSUPPORTED = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}


class LostPeerError(TuningError):
    """Report that this machine cannot go on because another one is gone. That is not the reason why a job failed."""


@dataclass(frozen=True)
class Group:
    """Describe the processes that train a model together, from the view of one of them."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among the processes of this machine
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Return whether this is the process that writes."""
        return self.rank == 0

    @property
    def is_first_here(self) -> bool:
        """Return whether this is the process that prepares files for those of its machine."""
        return self.local_rank == 0

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

    def tell_here(self, value: Value | None) -> Value:
        """Return the value of the first process of this machine in all its processes."""
        values: list[Any] = [value]
        if self.size > 1:
            import torch

            values = [None] * self.size
            torch.distributed.all_gather_object(values, value)
        return values[self.rank - self.local_rank]  # type: ignore[no-any-return]


ALONE = Group()


class Nodes(NamedTuple):
    """Describe the machines that train a model together, from the view of one of them."""

    size: int = 1
    rank: int = 0  # 0: the chief, which writes the model
    address: str = ""  # HOST:PORT at which the chief's processes meet the others


class _Task(msgspec.Struct, frozen=True):
    type: str
    index: int


class _ClusterSpec(msgspec.Struct, frozen=True):
    cluster: dict[str, list[str]]  # addresses of the machines of each pool: workerpool0 is the chief
    task: _Task  # this machine


def find_nodes() -> Nodes:
    """Return the machines that Vertex AI names in CLUSTER_SPEC, or one machine if there is no such variable.

    https://cloud.google.com/vertex-ai/docs/training/distributed-training describes the variable. Raises TuningError if
    it is damaged.
    """
    if _CLUSTER not in os.environ:
        return Nodes()
    try:
        spec = msgspec.json.decode(os.environ[_CLUSTER], type=_ClusterSpec)
        machines = [(pool, index) for pool in sorted(spec.cluster) for index in range(len(spec.cluster[pool]))]
        rank = machines.index((spec.task.type, spec.task.index))
        return Nodes(len(machines), rank, spec.cluster[machines[0][0]][0])
    except (msgspec.DecodeError, ValueError) as error:
        raise TuningError(f"{_CLUSTER} does not name this machine ({error})", "Run the job again") from None


def was_started_in_group() -> bool:
    """Return whether torchrun or accelerate started this process as one of several.

    Vertex AI sets RANK and WORLD_SIZE too, but it counts machines, and it sets no LOCAL_RANK.
    """
    is_machine = _CLUSTER in os.environ and "LOCAL_RANK" not in os.environ
    return not is_machine and os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ


def join() -> Group:
    """Join the other processes that torchrun or accelerate started, and return the group, or ALONE.

    Raises TuningError if the processes are on several machines that are not those of a job on Vertex AI, if there are
    fewer GPUs than processes, or if the launcher asks for a way of sharing the model's weights.
    """
    if not was_started_in_group():
        return ALONE
    rank, size, local_rank, local_size = (
        int(os.environ.get(name) or os.environ[other])
        for name, other in zip(_BY_HAND, ("RANK", "WORLD_SIZE") * 2, strict=True)
    )
    for name, what in _UNSUPPORTED.items():
        if os.environ.get(name, "").lower() == "true":
            raise TuningError(
                f"the tuner hf takes no {what} from the launcher",
                "Start the processes without it, by torchrun; --shard shares the weights among GPUs",
            )
    if size != local_size * find_nodes().size:
        raise TuningError(
            f"{size} processes were started, but only {local_size} on this machine, and the tuner hf uses one machine",
            "Start all of them on one machine",
        )
    set_up_libraries()
    import torch
    from accelerate import PartialState

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if 0 < gpus < local_size:
        raise TuningError(f"{local_size} processes were started, but there are {gpus} GPUs", f"Start {gpus} processes")
    PartialState(cpu=gpus == 0, timeout=_LONGEST_WAIT)
    return Group(rank, size, local_rank, local_size)


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


def check_nodes(nodes: int, batch_size: int, preference: bool) -> None:
    """Raise TuningError if the tuning cannot be shared among this number of machines."""
    if nodes > 1 and preference:
        raise TuningError("tuning on preferences (DPO) runs on one machine", "Leave out --nodes")
    if batch_size % nodes:
        raise TuningError(
            f"a batch of {batch_size} cannot be divided among {nodes} machines",
            f"Use a --batch-size that is a multiple of {nodes}",
        )


def count_processes(batch_size: int, preference: bool, nodes: int = 1) -> int:
    """Return the number of processes to start here: that of the GPUs, or the next smaller one that divides the batch.

    Each of the `nodes` machines starts as many. Raises TuningError if they cannot share the batch.
    """
    check_nodes(nodes, batch_size, preference)
    set_up_libraries()
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 1
    fitting = 1 if preference else fitting_gpus(batch_size, gpus, nodes)
    if fitting < gpus:
        why = f"a batch of {batch_size} is not divisible by {gpus * nodes}"
        why = "preferences are tuned on one" if preference else why
        print(f"note: {fitting} of {gpus} GPUs are used: {why}", flush=True)
    return fitting


def fitting_gpus(batch_size: int, gpus: int, nodes: int = 1) -> int:
    """Return how many of the GPUs of each of the `nodes` machines can share the batch: at most `gpus`."""
    return max(count for count in range(1, gpus + 1) if batch_size % (count * nodes) == 0)


def launch(count: int, nodes: Nodes, work: Callable[..., None], *arguments: object) -> None:
    """Call `work` with the arguments and the group in `count` new processes, and wait for them.

    Each of the machines does the same, and their processes are one group. If a process fails, the others of its machine
    are ended. Raises its TuningError, or TuningError if it was killed, or if the machines do not meet. Of several
    machines, these two are a LostPeerError, because that is how the others end if one is taken back.
    """
    from torch.distributed import DistNetworkError, DistStoreError
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # Vertex AI has named the chief. On one machine, the processes meet at any free port.
    meeting: dict[str, Any] = (
        {"rdzv_backend": "static", "rdzv_endpoint": nodes.address, "rdzv_configs": {"rank": nodes.rank}}
        if nodes.size > 1
        else {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "localhost"}
    )
    config = LaunchConfig(
        min_nodes=nodes.size, max_nodes=nodes.size, nproc_per_node=count, run_id="tuning", max_restarts=0, **meeting
    )
    for name in ("torch.distributed.elastic", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the error says the same
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    where = f" on each of {nodes.size} machines" if nodes.size > 1 else ""
    print(f"training in {count} process{'es' if count > 1 else ''}{where}", flush=True)
    try:
        elastic_launch(config, _member)(work, *arguments)
    except (DistNetworkError, DistStoreError) as error:
        if nodes.size == 1:
            raise
        raise LostPeerError(
            f"machine {nodes.rank + 1} of {nodes.size} does not reach {nodes.address} ({error})", "Run the job again"
        ) from None
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        raised = failure.message["message"] if isinstance(failure.message, dict) else ""  # KIND: TEXT
        kind, _, text = raised.partition(": ")
        if kind == TuningError.__name__:
            raise TuningError(text) from None
        if failure.exitcode < 0:
            raise (LostPeerError if nodes.size > 1 else TuningError)(
                f"a training process was killed ({failure.message})",
                "Run the command again to resume; if memory ran out, lower --max-length or --batch-size",
            ) from None
        raise


def _member(work: Callable[..., None], *arguments: object) -> None:
    # torch sends SIGINT to this process if the launcher dies. Python handles it only when no library is waiting.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with in_one_line():
        work(*arguments, join())
    import torch

    torch.distributed.destroy_process_group()  # else, a process that shared weights does not end
