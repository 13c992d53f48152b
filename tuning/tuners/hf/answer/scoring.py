"""Compute losses over answer tokens only.

The output layer, a fifth of a small model's work, is computed for these tokens only.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from tuning.progress import Advance
from tuning.tuners.hf.device import overflow


class Batch(NamedTuple):
    """Hold the tensors of one batch, padded on the right. A label is -100 if its token is not part of an answer."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


def collate(rows: Sequence[tuple[Sequence[int], int]], padding: int) -> Batch:
    """Pad rows to one batch. A row is its token IDs and the index of its first answer token.

    Only answer tokens get a label. Padding is masked by position, because the token ID `padding` can also
    be a real token.
    """
    width = max(len(ids) for ids, _ in rows)
    input_ids = torch.full((len(rows), width), padding)
    attention_mask = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    for row, (ids, answer_start) in enumerate(rows):
        tokens = torch.tensor(ids)
        input_ids[row, : len(ids)] = tokens
        attention_mask[row, : len(ids)] = 1
        labels[row, answer_start : len(ids)] = tokens[answer_start:]
    return Batch(input_ids, attention_mask, labels)


def answer_token_losses(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross entropy of each answer token, and the number of answer tokens per row.

    The cross entropies are in nats, in one dimension, row by row.
    """
    logits = answer_logits(model, batch)
    targets = batch.labels[:, 1:]
    losses = functional.cross_entropy(logits, targets[targets != -100], reduction="none")
    return losses, _predicting(batch).sum(dim=1)


def answer_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Return the logits for each answer token, with shape (answer tokens, vocabulary), row by row, in fp32."""
    with _output_layer_at(model, _predicting(batch)):
        output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False)
    logits: torch.Tensor = output.logits[0].float()
    return logits


def _predicting(batch: Batch) -> torch.Tensor:
    """Return whether each position, with shape (rows, width), predicts an answer token."""
    predicting = torch.zeros_like(batch.labels, dtype=torch.bool)
    predicting[:, :-1] = batch.labels[:, 1:] != -100
    return predicting


def example_losses(
    model: Any, rows: Sequence[tuple[Sequence[int], int]], advance: Advance = lambda _: None
) -> list[tuple[float, int]]:
    """Return the mean loss and the number of answer tokens of each row, or (nan, 0) for a row without answer tokens.

    Each row goes through the model alone, because in bfloat16 other rows in the batch would change the last digits. On
    a CPU this costs little: one row is enough work for all cores. `advance` counts the rows. Raises TuningError if the
    model is in fp16 and its numbers overflow.
    """
    results = []
    for ids, answer_start in rows:
        advance(1)
        if answer_start >= len(ids) or answer_start == 0:
            results.append((float("nan"), 0))
            continue
        with torch.no_grad():
            batch = Batch(*(part.to(model.device) for part in collate([(ids, answer_start)], 0)))
            losses, _ = answer_token_losses(model, batch)
        loss = float(losses.mean())
        if model.dtype == torch.float16 and not math.isfinite(loss):
            raise overflow()
        results.append((loss, len(losses)))
    return results


@contextlib.contextmanager
def _output_layer_at(model: Any, positions: torch.Tensor) -> Iterator[None]:
    """Make the model compute logits (1, n, vocabulary) only at the n `positions` (rows, width) that are true.

    This uses a hook instead of calling the layer, so that a model that scales or caps its logits still does so.
    """
    model = model.module if isinstance(model, DistributedDataParallel) else model
    hook = model.get_output_embeddings().register_forward_pre_hook(
        lambda _, inputs: (inputs[0][positions].unsqueeze(0), *inputs[1:])
    )
    try:
        yield
    finally:
        hook.remove()
