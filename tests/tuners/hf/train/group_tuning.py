"""Tune in one of several processes, and record which rows it reads. By torchrun: group_tuning.py DATASET MODEL OUTPUT.

The options are a JSON object in the fourth argument. The fifth is the step after which the last process kills itself.
With CLUSTER_SPEC, be one of several machines.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType

from tuning.dataset.dataset import Dataset, open_dataset
from tuning.settings import Settings
from tuning.tuners.hf import tuner
from tuning.tuners.hf.device import Processor
from tuning.tuners.hf.train import run as tuning_run
from tuning.tuners.hf.train.processes import ALONE, Group, find_nodes
from tuning.tuners.protocol import TuneOptions


def record_rows(output: Path) -> None:
    """Write the token IDs of each batch that this process reads to rows-RANK.jsonl, and train in fp32 everywhere."""
    from tuning.tuners.hf.train import sft_trainer

    tuning_run.find_processor = lambda: Processor("cpu", "fp32", "a processor")  # type: ignore[attr-defined]
    path = output / f"rows-{os.environ.get('RANK', '0')}.jsonl"
    plain = sft_trainer.AnswerCollator.__call__

    def recording(self: Any, rows: Sequence[Any]) -> Any:
        with path.open("a") as file:
            file.write(json.dumps([row["ids"] for row in rows]) + "\n")
        return plain(self, rows)

    sft_trainer.AnswerCollator.__call__ = recording  # type: ignore[method-assign]


def share_on_cpus() -> None:
    """Let Accelerate, which shares weights among GPUs only, take the processes of a CPU for some, as the tuner does."""
    tuning_run.check_memory = lambda *_: True  # type: ignore[attr-defined]
    plain = PartialState.__init__

    def pretending(self: Any, *given: Any, **more: Any) -> None:
        plain(self, *given, **more)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = pretending  # type: ignore[method-assign]


def run(*arguments: Any) -> None:
    """Call the tuner's `run` with recording. `launch` can import this function in new processes."""
    record_rows(arguments[4])
    if arguments[3].shard:
        share_on_cpus()
    group: Group = arguments[-1] if isinstance(arguments[-1], Group) else ALONE
    tuning_run.run(*arguments[:6], group)


def _die_at(step: int) -> None:
    """Make the last process kill itself at the beginning of a step."""
    from tuning.tuners.hf.train.callbacks import ProgressLines

    plain = ProgressLines.on_step_begin

    def dying(self: Any, args: Any, state: Any, *others: Any, **more: Any) -> None:
        if state.global_step == step and os.environ["RANK"] == str(int(os.environ["WORLD_SIZE"]) - 1):
            os.kill(os.getpid(), signal.SIGKILL)
        plain(self, args, state, *others, **more)

    ProgressLines.on_step_begin = dying  # type: ignore[method-assign]


def be_machine(settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> None:
    """Do what a job on Vertex AI does on this machine, with recording."""
    from tests.tuners.hf.train import group_tuning

    tuning_run.run = group_tuning.run  # which the processes of this machine call; this one does not
    output.mkdir(parents=True)
    made = tuner.HfTuner()
    (made.take_part if find_nodes().rank else made.tune)(settings, dataset, options, output)


if __name__ == "__main__":
    dataset, model, output, options, dies = sys.argv[1:]
    folder = Path(output)
    if "CLUSTER_SPEC" in os.environ and "LOCAL_RANK" not in os.environ:
        given = TuneOptions(base_model=model, **json.loads(options))
        be_machine(Settings(home=folder.parent / "home"), open_dataset(Path(dataset)), given, folder)
        sys.exit()
    folder.mkdir(parents=True, exist_ok=True)
    record_rows(folder)
    if json.loads(options).get("shard"):
        share_on_cpus()
    if int(dies):
        _die_at(int(dies))
    tuner.HfTuner().tune(
        Settings(home=folder.parent / "home"),
        open_dataset(Path(dataset)),
        TuneOptions(base_model=model, **json.loads(options)),
        folder,
    )
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
