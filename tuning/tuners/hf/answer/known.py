"""Reuse the answers and losses of the base model smollm2 that ship with the package. Its weights never change.

``python -m tests.tuners.hf.answer.write_known_answers`` writes the file again, after the suite, the sample or the
prompt has changed.
"""

import hashlib
import operator
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from tuning.storage import sha256_of
from tuning.tuners.protocol import Answer

FILE = Path(__file__).parent / "known_answers.json"
WEIGHTS = "model.safetensors"
CHECKED = 8  # number of known results that are made again; if one differs, all are
CHECKED_LENGTH = 500  # characters; only answers up to this length are generated again, so that the check takes seconds
# Losses that differ by at most this number of nats are the same. Another order of additions in fp32 changes a mean over
# an answer's tokens by less; 16 bits change it by more.
SAME_LOSS = 1e-4

Loss = tuple[float, int]  # the mean loss and the number of answer tokens of an example
Result = TypeVar("Result")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the answers and losses of one model. A key is the SHA-256 of the token IDs of a prompt or an example."""

    weights_sha256: str = ""
    max_new_tokens: int = 0
    answers: dict[str, Answer] = {}
    # Keys of answers that depend on the rounding of the batch, even on the machine that wrote them. They check nothing.
    unstable: list[str] = []
    losses: dict[str, Loss] = {}

    def answers_up_to(self, max_new_tokens: int) -> dict[str, Answer]:
        """Return the answers with this limit of tokens."""
        return self.answers if max_new_tokens == self.max_new_tokens else {}

    @property
    def checks(self) -> set[str]:
        """Return the keys of the answers that can check whether this machine gives the same ones."""
        short = {key for key, answer in self.answers.items() if len(answer.text) <= CHECKED_LENGTH}
        return short.difference(self.unstable)


def key_of(ids: Sequence[int]) -> str:
    """Return the key of token IDs."""
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


def find_known(folder: Path) -> Known:
    """Return what is known of the model in `folder`. It is nothing for other weights."""
    weights = folder / WEIGHTS
    if not weights.is_file() or not FILE.is_file():
        return Known()
    known = msgspec.json.decode(FILE.read_bytes(), type=Known)
    return known if known.weights_sha256 == sha256_of(weights) else Known()


def is_same_loss(one: Loss, other: Loss) -> bool:
    """Return whether two losses of an example differ by rounding only."""
    return one[1] == other[1] and abs(one[0] - other[0]) <= SAME_LOSS


def with_known(
    kind: str,
    keys: Sequence[str],
    known: Mapping[str, Result],
    make: Callable[[Sequence[int]], list[Result]],
    checks: Collection[str] | None = None,
    is_same: Callable[[Result, Result], bool] = operator.eq,
) -> list[Result]:
    """Return the results for the prompts or examples with these keys. Only those that are not known are made.

    `make` takes numbers of keys, and `kind` names the results in messages, such as "answers". As a check, a few known
    results, with keys in `checks` (None: any), are made again. If one differs, for example because the processor rounds
    differently, all are made again.
    """
    numbers = [number for number, key in enumerate(keys) if key in known]
    allowed = [number for number in numbers if checks is None or keys[number] in checks]
    drawn = random.Random("".join(keys)).sample(allowed, min(CHECKED, len(allowed)))  # noqa: S311 - a fixed draw
    if numbers:
        print(
            f"note: {len(numbers)} of these {len(keys)} {kind} of the base model are in this package; {len(drawn)} of "
            "them are made again, to check that this machine gives the same",
            flush=True,
        )
    now = sorted({*range(len(keys))} - {*numbers} | {*drawn})
    results = dict(zip(now, make(now), strict=True))
    rest = [number for number in numbers if number not in results]
    if all(is_same(results[number], known[keys[number]]) for number in drawn):
        results |= {number: known[keys[number]] for number in rest}
    else:
        print(f"note: the known {kind} of the base model differ on this machine, so all are made again", flush=True)
        results |= dict(zip(rest, make(rest), strict=True))
    return [results[number] for number in range(len(keys))]
