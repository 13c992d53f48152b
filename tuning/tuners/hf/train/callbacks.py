"""Print progress lines during training: step, loss, tokens per second, time left. Copy checkpoints."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tuning.progress import Advance
from tuning.settings import Settings
from tuning.tuners.hf.train.checkpoints import send_checkpoints

_LINES = 12  # number of progress lines in a complete run


class ProgressLines(TrainerCallback):  # type: ignore[misc]
    """Print progress lines and measure the speed.

    `lengths` contains the number of tokens of each row, in the order of training. `tokens` is the number of tokens that
    this run of the training, in all its processes, has trained on.
    """

    def __init__(self, steps: int, lengths: Sequence[int], batch_size: int) -> None:
        self._steps, self._lengths, self._batch_size = steps, lengths, batch_size
        self._every = -(-steps // _LINES)
        self._seconds = 0.0
        self._began = 0.0
        self._done = 0
        self._loss = float("nan")
        self.advance: Advance = lambda _: None  # counts the steps on the display
        self.tokens = 0

    @property
    def tokens_per_second(self) -> float:
        """Return the speed of the training steps, without evaluations and checkpoints."""
        return self.tokens / self._seconds if self._seconds else 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Record the time at which the step begins."""
        self._began = time.monotonic()

    def on_step_end(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Add the seconds and tokens of the step to the totals."""
        self._seconds += time.monotonic() - self._began
        self._done += 1
        self.advance(1)
        first = (state.global_step - 1) * self._batch_size
        self.tokens += sum(self._lengths[first : first + self._batch_size])

    def on_log(self, _args: Any, state: Any, *_: Any, logs: dict[str, float], **__: Any) -> None:
        """Print the development loss, and every few steps the training loss with the speed and the time left."""
        if not state.is_world_process_zero:
            return
        if "eval_loss" in logs:
            print(f"step {state.global_step}/{self._steps}: development loss {logs['eval_loss']:.3f}", flush=True)
        self._loss = logs.get("loss", self._loss)
        if "loss" in logs and (state.global_step % self._every == 0 or state.global_step == self._steps):
            left = (self._steps - state.global_step) * self._seconds / max(1, self._done)
            logs["tokens_per_second"] = round(self.tokens_per_second, 1)
            print(
                f"step {state.global_step}/{self._steps}: loss {self._loss:.3f}, "
                f"{self.tokens_per_second:.0f} tokens/s, {left:.0f} s left",
                flush=True,
            )


class CopiedCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Copy each checkpoint to an address in Cloud Storage before the training goes on."""

    def __init__(self, settings: Settings, address: str) -> None:
        self._settings, self._address = settings, address

    def on_save(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Copy the checkpoint that was saved."""
        if state.is_world_process_zero:
            send_checkpoints(self._settings, Path(args.output_dir), self._address)
