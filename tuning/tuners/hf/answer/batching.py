"""Generate answers to many prompts by greedy decoding. A row that has ended leaves the batch, and another enters.

``transformers.generate`` keeps every row until the last one ends, so one answer that runs to the limit holds up all
others, and its cache copies all keys and values at each token. When few rows are left, a step guesses their next tokens
from the text so far, and the model checks several tokens in one pass. Import this module inside functions only, because
it loads torch.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import takewhile
from typing import Any

import torch
from torch.nn import functional
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tuning.tuners.hf.device import overflow

# Maximum rows in the batch. More rows give more tokens per second until the processor is fully used, and take more
# memory.
ROWS = 128
# Maximum prompts that are read together. They are sorted by length, so that few tokens are padding.
_READ_TOGETHER = 32
_SPARE = 64  # when a layer's buffers grow, they get room for this number of further tokens
# An answer is stopped if it ends in a passage of at most this many tokens, this often in a row, over at least this many
# tokens together. Greedy decoding does not leave such a repetition: of 96 answers of smollm2, this would stop 6, and
# without it, all of these run to the limit of 512 tokens.
_LONGEST_PASSAGE, _TIMES, _LEAST_REPEATED = 64, 5, 96
# A pass over few tokens takes about as long as a pass over one, because all weights are read from memory. So a step of
# few rows has up to this number of tokens: the newest token of each row, and guesses of the tokens that follow it.
_TOKENS_PER_STEP = 16
_MATCHED = 12  # maximum tokens that are compared to find what comes next


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Store keys and values in buffers with spare room, so that a new token does not copy the earlier ones."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self._buffers: list[torch.Tensor] = []

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Add the states of new tokens and return those of all tokens (rows, heads, tokens, width)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        old = self.get_seq_length()
        new = old + key_states.shape[-2]
        if not self._buffers or self._buffers[0].shape[2] < new:
            self._buffers = [
                states.new_empty((*states.shape[:2], new + _SPARE, states.shape[3]))
                for states in (key_states, value_states)
            ]
            if old:
                self._buffers[0][:, :, :old], self._buffers[1][:, :, :old] = self.keys, self.values
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, old:new] = states
        self.keys, self.values = (buffer[:, :, :new] for buffer in self._buffers)
        return self.keys, self.values

    def replace(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Replace the states of all tokens."""
        self.keys, self.values, self._buffers = keys, values, []


class _Batch:
    """Hold the rows that are being generated: their cache, attention mask, positions and newest tokens."""

    def __init__(self, model: Any, rows: Sequence[int], prompts: Sequence[Sequence[int]]) -> None:
        """Run the prompts through the model. They are padded on the left, or after the tokens that all begin with."""
        self._model = model
        self.rows = list(rows)
        self._cache = _new_cache(model)
        shared = self._read_shared(prompts) if self.can_grow and len(prompts) > 1 else 0
        width = max(map(len, prompts))
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        self._mask = torch.zeros((len(prompts), width), dtype=torch.long)
        self._mask[:, :shared] = 1
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) + shared :] = torch.tensor(prompt[shared:])
            self._mask[row, width - len(prompt) + shared :] = 1
        ids, self._mask = ids.to(model.device), self._mask.to(model.device)
        positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)
        self._positions = positions[:, -1:] + 1
        self.tokens = self._forward(ids[:, shared:], positions[:, shared:], 1)[:, 0]

    def _read_shared(self, prompts: Sequence[Sequence[int]]) -> int:
        """Run the tokens that all prompts begin with through the model once, for all rows. Return their number.

        The last token of a prompt is not one of them, because what follows it is wanted from each row.
        """
        same = takewhile(lambda column: len(set(column)) == 1, zip(*(prompt[:-1] for prompt in prompts), strict=False))
        if not (shared := [column[0] for column in same]):
            return 0
        self._mask = torch.ones((1, len(shared)), dtype=torch.long, device=self._model.device)
        self._forward(torch.tensor([shared], device=self._model.device), self._mask.cumsum(dim=1) - 1, 1)
        for layer in self._cache.layers:
            layer.replace(*(states.expand(len(prompts), -1, -1, -1) for states in (layer.keys, layer.values)))
        return len(shared)

    @property
    def can_grow(self) -> bool:
        """Return whether rows can be added."""
        return _can_grow(self._cache)

    def newest(self) -> list[list[int]]:
        """Return a list with the newest token of each row."""
        return [[token] for token in self.tokens.tolist()]

    def step(self, guesses: Sequence[Sequence[int]]) -> list[list[int]]:
        """Append the newest token of each row, and return the tokens that follow it: the right guesses, and one more.

        The columns of wrong guesses are masked, and those at the end of all rows are removed.
        """
        old, most = self._mask.shape[1], max(map(len, guesses))
        guessed = torch.tensor([[*row, *[-1] * (most - len(row))] for row in guesses], device=self._mask.device)
        guessed = guessed.reshape(len(guesses), most).long()
        self._mask = torch.cat([functional.pad(self._mask, (0, 1), value=1), (guessed >= 0).long()], dim=1)
        ids = torch.cat([self.tokens[:, None], guessed.clamp(min=0)], dim=1)
        next_ones = self._forward(ids, self._positions + torch.arange(most + 1, device=ids.device), most + 1)
        right = (next_ones[:, :-1] == guessed).long().cumprod(dim=1).sum(dim=1, keepdim=True)
        is_right = torch.arange(1, most + 1, device=ids.device) <= right
        self._mask[:, old + 1 :] = is_right.long()
        unused = most - int(right.max())
        if unused:
            self._mask = self._mask[:, :-unused]
            self._cache.crop(-unused)
        self._positions = self._positions + 1 + right
        self.tokens = next_ones.gather(1, right)[:, 0]
        return [ids[: count + 1] for ids, (count,) in zip(next_ones.tolist(), right.tolist(), strict=True)]

    def keep(self, kept: Sequence[int]) -> None:
        """Keep only the rows at these indices. If the batch can grow, drop the columns that are then only padding."""
        index = torch.tensor(kept, device=self._mask.device)
        self.rows = [self.rows[row] for row in kept]
        self._mask, self._positions, self.tokens = self._mask[index], self._positions[index], self.tokens[index]
        if not self.can_grow:
            self._cache.batch_select_indices(index)
            return
        unused = int(self._mask.argmax(dim=1).min())
        self._mask = self._mask[:, unused:]
        for layer in self._cache.layers:
            layer.replace(layer.keys[index, :, unused:], layer.values[index, :, unused:])

    def join(self, other: "_Batch") -> None:
        """Add the rows of another batch. The batch with fewer columns is padded on the left."""
        width = max(self._mask.shape[1], other._mask.shape[1])
        self._mask = torch.cat([_padded(batch._mask, width, 1) for batch in (self, other)])
        self._positions = torch.cat([self._positions, other._positions])
        self.tokens = torch.cat([self.tokens, other.tokens])
        self.rows += other.rows
        for layer, added in zip(self._cache.layers, other._cache.layers, strict=True):
            layer.replace(
                torch.cat([_padded(one.keys, width, 2) for one in (layer, added)]),
                torch.cat([_padded(one.values, width, 2) for one in (layer, added)]),
            )

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, last: int) -> torch.Tensor:
        """Return the most likely token after each of the `last` columns (rows, last).

        Raises TuningError if the model is in fp16 and its numbers overflow.
        """
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=last,
        )
        if output.logits.dtype == torch.float16 and output.logits[..., 0].isnan().any():
            raise overflow()
        self._cache = output.past_key_values
        likely: torch.Tensor = output.logits.argmax(dim=-1)
        return likely


def _new_cache(model: Any) -> Any:
    cache: Any = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def _can_grow(cache: Any) -> bool:
    """Return whether rows can be added. Other kinds of cache layers, such as sliding windows, cannot be padded."""
    return bool(cache.layers) and all(isinstance(layer, RoomyLayer) for layer in cache.layers)


def _padded(states: torch.Tensor, width: int, dimension: int) -> torch.Tensor:
    missing = width - states.shape[dimension]
    after = 2 * (states.dim() - 1 - dimension)  # functional.pad counts dimensions from the last one
    return functional.pad(states, (*[0] * after, missing, 0)) if missing else states


def repeats_itself(tokens: Sequence[int]) -> bool:
    """Return whether the tokens end in the same passage, again and again."""
    for period in range(1, _LONGEST_PASSAGE + 1):
        length = max(_TIMES * period, _LEAST_REPEATED)
        if len(tokens) < length:
            continue
        if tokens[-1] == tokens[-1 - period] and tokens[-length:-period] == tokens[-length + period :]:
            return True
    return False


def guess(tokens: Sequence[int], length: int) -> list[int]:
    """Return at most `length` (1 or more) tokens that may come next.

    They are those after the earlier place that has most newest tokens in common, and one more than it has in common. On
    60 long answers of smollm2 this takes 0.33 passes for each token. Always guessing 7 or 15 tokens costs more.
    """
    common, place = 0, 0
    for end in range(len(tokens) - 1, 0, -1):
        same = 0
        while same < min(_MATCHED, end) and tokens[end - 1 - same] == tokens[-1 - same]:
            same += 1
        if same > common:
            common, place = same, end
    guessed = [*tokens[place:]] if common else []
    while guessed and len(guessed) <= common:  # a place that reaches into the newest tokens repeats itself
        guessed += guessed
    return guessed[: min(common + 1, length)]


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    ends: Collection[int],
    rows: int = ROWS,
    on_token: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, list[int]]]:
    """Yield the index of each prompt and its new tokens, as soon as they end.

    They end at a token in `ends`, which is included, at the limit, or if they only repeat themselves. Short prompts
    come first, so that the prompts that are added together have similar lengths. `on_token` gets the index of the
    prompt and each new token at once.
    """
    waiting = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
    new: dict[int, list[int]] = {index: [] for index in waiting}

    ended: set[int] = set()
    together = _READ_TOGETHER if _can_grow(_new_cache(model)) else rows
    batch: _Batch | None = None
    with torch.inference_mode():
        while waiting or batch:
            # Add and remove rows in groups, because each change copies the cache.
            if batch is None or (waiting and batch.can_grow and len(batch.rows) <= rows * 3 // 4):
                room = min(rows - (len(batch.rows) if batch else 0), together)
                entering, waiting = waiting[:room], waiting[room:]
                changed = _Batch(model, entering, [prompts[index] for index in entering])
                added = changed.newest()
            else:
                changed = batch
                length = _TOKENS_PER_STEP // len(batch.rows) - 1 if batch.can_grow else 0
                added = batch.step(
                    [guess([*prompts[index], *new[index]], length) if length > 0 else [] for index in batch.rows]
                )
            for index, tokens in zip(changed.rows, added, strict=True):
                for token in tokens:
                    if index in ended:
                        break
                    new[index].append(token)
                    if on_token:
                        on_token(index, token)
                    if token in ends or len(new[index]) >= max_new_tokens or repeats_itself(new[index]):
                        ended.add(index)
                        yield index, new[index]
            if batch is None:
                batch = changed
            elif changed is not batch:
                batch.join(changed)
            batch = _without_ended(batch, ended)


def _without_ended(batch: _Batch | None, ended: Collection[int]) -> _Batch | None:
    """Return the batch without the rows that have ended, or None if no row is left.

    A few rows that have ended may stay, because keeping them costs less than copying the cache.
    """
    live = [row for row, index in enumerate(batch.rows) if index not in ended] if batch else []
    if batch and live and len(live) <= len(batch.rows) * 7 // 8:
        batch.keep(live)
    return batch if live else None
