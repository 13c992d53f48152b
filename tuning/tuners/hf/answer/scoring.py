"""Losses over the answer's tokens only: the output layer, a fifth of a small model's work, sees nothing else."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional


class Batch(NamedTuple):
    """Tensors of one batch, padded on the right. `labels` are -100 wherever a token is not part of an answer."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


def collate(rows: Sequence[tuple[Sequence[int], int]], padding: int) -> Batch:
    """A batch of rows (token ids, where the answer starts). Padding is masked by position: its id can be a real one."""
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
    """Cross entropy in nats of each answer token of the batch (one dimension, row after row), and tokens per row."""
    targets = batch.labels[:, 1:]
    predicting = torch.zeros_like(batch.labels, dtype=torch.bool)
    predicting[:, :-1] = targets != -100
    with _output_layer_at(model, predicting):
        logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False).logits[0]
    losses = functional.cross_entropy(logits.float(), targets[targets != -100], reduction="none")
    return losses, predicting.sum(dim=1)


def example_losses(model: Any, rows: Sequence[tuple[Sequence[int], int]]) -> list[tuple[float, int]]:
    """Mean loss per row and its number of answer tokens; (nan, 0) where a row has none.

    Each row goes alone through the model: in bfloat16 the rows beside it would change its last digits. On a processor
    this costs little, since one row is already enough work for every core.
    """
    found = []
    for ids, answer_start in rows:
        if answer_start >= len(ids) or answer_start == 0:
            found.append((float("nan"), 0))
            continue
        with torch.no_grad():
            batch = Batch(*(part.to(model.device) for part in collate([(ids, answer_start)], 0)))
            losses, _ = answer_token_losses(model, batch)
        found.append((float(losses.mean()), len(losses)))
    return found


@contextlib.contextmanager
def _output_layer_at(model: Any, positions: torch.Tensor) -> Iterator[None]:
    """Inside, the model computes logits (1, n, vocabulary) for the n true `positions` (rows, width) only.

    A hook, and not the layer called by hand, so that what a model does to its logits (scaling, capping) stays.
    """
    hook = model.get_output_embeddings().register_forward_pre_hook(
        lambda _, inputs: (inputs[0][positions].unsqueeze(0), *inputs[1:])
    )
    try:
        yield
    finally:
        hook.remove()
