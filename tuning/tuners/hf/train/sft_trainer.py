"""Adapt TRL's SFTTrainer to encoded rows and to a loss over answer tokens only, on any processor.

Import this module inside functions only, because TRL takes seconds to load.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.nn import functional
from trl import SFTTrainer

from tuning.tuners.hf.answer.scoring import Batch, answer_logits, answer_token_losses, collate, example_losses
from tuning.tuners.hf.train.checkpoints import mark_complete
from tuning.tuners.hf.train.rows import Row


class AnswerCollator:
    """Collate encoded rows into a batch, padded with the token ID `padding`."""

    def __init__(self, padding: int) -> None:
        self._padding = padding

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Return the padded batch of the rows."""
        return collate([(row["ids"], row["answer_start"]) for row in rows], self._padding)._asdict()


class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
    """Train on answer tokens only.

    The training loss is the mean over the answer tokens of a batch, in all processes together. The evaluation loss is
    the mean over the examples of the mean loss of each, without the pull toward the base.
    """

    pull = 0.0  # weight of the KL divergence from the base, the model without its adapter, in the training loss

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss of a batch.

        On CUDA without a pull this is TRL's own loss, which never has all logits in memory. On a CPU, TRL would also
        compute the logits of prompt and padding, which takes a third of the time; Apple's GPU does as a CPU. With
        shares of the weights, TRL's loss would read the output layer's, of which each process has only a part.
        """
        on_cuda = inputs["input_ids"].device.type == "cuda"
        if model.training and (not on_cuda or self.pull or self.is_fsdp_enabled) and not return_outputs:
            batch = Batch(inputs["input_ids"], inputs["attention_mask"], inputs["labels"])
            losses, counts = answer_token_losses(model, batch) if not self.pull else self._pulled(model, batch)
            self._total_train_tokens += int(self.accelerator.gather(batch.attention_mask.sum()).sum())
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
            if num_items_in_batch is None:
                return losses.sum() / counts.sum()
            # These are the tokens of all processes, and the gradient is the mean of the processes.
            return losses.sum() / num_items_in_batch * self.accelerator.num_processes
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def _pulled(self, model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what `answer_token_losses` does, with the weighted KL divergence from the base added to each loss."""
        plain = self.accelerator.unwrap_model(model)
        with torch.no_grad(), plain.disable_adapter():
            base = answer_logits(plain, batch).log_softmax(-1)
        tuned = answer_logits(model, batch).log_softmax(-1)
        targets = batch.labels[:, 1:]
        losses = functional.nll_loss(tuned, targets[targets != -100], reduction="none")
        divergence = functional.kl_div(tuned, base, reduction="none", log_target=True).sum(-1)
        return losses + self.pull * divergence, (targets != -100).sum(dim=1)

    def evaluate(self, eval_dataset: Any = None, metric_key_prefix: str = "eval", **_: Any) -> dict[str, float]:
        """Return the loss as the report computes it, because TRL's loss depends on the batches.

        Each process computes its share of the rows. All compute as many, because processes that share weights go
        through the model together: the rows begin again where they end, and the losses of those do not count.
        """
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        was_training = self.model.training
        self.model.eval()
        with self.compute_loss_context_manager():
            processes = self.accelerator.num_processes
            share = range(self.accelerator.process_index, -(-len(rows) // processes) * processes, processes)
            taken = [rows[number % len(rows)] for number in share]
            own = example_losses(self.model, [(row["ids"], row["answer_start"]) for row in taken])
        losses = gather_object([loss for number, (loss, _) in zip(share, own, strict=True) if number < len(rows)])
        metrics = {f"{metric_key_prefix}_loss": math.fsum(losses) / len(losses)}
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.model.train(was_training)
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # each process writes files into the checkpoint
        if self.is_world_process_zero():
            mark_complete(self.args.output_dir, self.state.global_step)
