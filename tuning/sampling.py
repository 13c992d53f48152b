"""Draw samples by a salted hash. They are the same on every machine, and a larger sample contains each smaller one."""

import hashlib
import heapq
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def salted(purpose: str, seed: int, key: int | str) -> int:
    """Return a number from 0 to 2^64 - 1 that depends on all three arguments.

    Each use needs a different `purpose`. Otherwise, a small ``--limit`` would select the questions that the split
    assigns to evaluation, because both select the smallest numbers.
    """
    text = f"{purpose}:{seed}:{key}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def draw(
    purpose: str, items: Iterable[Item], limit: int, key: Callable[[Item], int | str], seed: int = 0
) -> list[Item]:
    """Return the `limit` items with the smallest salted hashes of their keys, in the order of the hashes.

    Reads `items` once and keeps at most `limit` of them in memory. Ties are broken by the key.
    """

    def rank(item: Item) -> tuple[int, int | str]:
        value = key(item)
        return salted(purpose, seed, value), value

    return heapq.nsmallest(limit, items, key=rank)
