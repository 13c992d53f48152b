"""Print progress lines during training: step, loss, tokens per second, time left. Copy checkpoints."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState, TrainerState

from tuning.progress import Advance
from tuning.settings import Settings
from tuning.tuners.hf.device import overflow
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


def _restore(callback: Any, state: Any) -> None:
    """Give a callback the values that the checkpoint has from which the training resumes, if it resumes.

    transformers itself would make another callback of them.
    """
    vars(callback).update(state.stateful_callbacks.get(type(callback).__name__, {}).get("attributes", {}))


class SkippedSteps(TrainerCallback, ExportableState):  # type: ignore[misc]
    """Count the steps that change no weight, because a gradient times the scale is not finite in fp16.

    Each such step halves the scale, so the first steps of a training find it. The rows of the step are not used again,
    and a checkpoint keeps the scale (https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling). What Accelerate
    says of the step is not used: a fused optimizer skips the step itself, and Accelerate does not see it.
    """

    def __init__(self) -> None:
        self.count = 0
        self._scale = 0.0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"args": {}, "attributes": {"count": self.count}}

    def on_train_begin(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Go on counting where a killed training stopped."""
        _restore(self, state)

    def on_step_begin(self, *_: Any, optimizer: Any, **__: Any) -> None:
        """Record the scale before the step."""
        self._scale = optimizer.scaler.get_scale()

    def on_step_end(self, *_: Any, optimizer: Any, **__: Any) -> None:
        """Count the step if it was skipped. Raises TuningError if the gradients are not finite without a scale either.

        Larger scales are tried first: torch begins with 65,536.
        """
        scale = optimizer.scaler.get_scale()
        self.count += scale < self._scale
        if scale < 1:
            raise overflow()

    def on_train_end(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Print how many steps were skipped, if any. Raises TuningError if all were."""
        if self.count == state.global_step:
            raise overflow()
        if self.count and state.is_world_process_zero:
            print(f"{self.count} steps changed no weight, because gradients overflowed in fp16", flush=True)


class EarlyStopping(EarlyStoppingCallback):  # type: ignore[misc]
    """Stop when the development loss gets no better, but not because all steps so far were skipped."""

    def __init__(self, patience: int, skipped: SkippedSteps) -> None:
        super().__init__(early_stopping_patience=patience)
        self._skipped = skipped

    def on_train_begin(self, args: Any, state: Any, *given: Any, **more: Any) -> None:
        """Have as much patience as a killed training had."""
        super().on_train_begin(args, state, *given, **more)
        _restore(self, state)

    def on_evaluate(self, args: Any, state: Any, *given: Any, **more: Any) -> None:
        """Count the evaluation, if a step has changed the weights."""
        if state.global_step > self._skipped.count:
            super().on_evaluate(args, state, *given, **more)


def stopped_early(checkpoint: Path) -> bool:
    """Return whether the training had no patience left at this checkpoint. The Trainer would train one more step."""
    found = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME)).stateful_callbacks
    if not (stopping := found.get(EarlyStopping.__name__)):
        return False
    patience: int = stopping["args"]["early_stopping_patience"]
    without_better: int = stopping["attributes"]["early_stopping_patience_counter"]
    return without_better >= patience


class CopiedCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Copy each checkpoint to an address in Cloud Storage before the training goes on."""

    def __init__(self, settings: Settings, address: str) -> None:
        self._settings, self._address = settings, address

    def on_save(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Copy the checkpoint that was saved."""
        if state.is_world_process_zero:
            send_checkpoints(self._settings, Path(args.output_dir), self._address)
