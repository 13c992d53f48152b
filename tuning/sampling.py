"""Draw samples by a salted hash, so that they are the same everywhere and a smaller sample is part of a larger one."""

import hashlib
import heapq
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def salted(purpose: str, seed: int, key: int | str) -> int:
    """Return a number from 0 to 2^64 - 1 that depends on all three arguments.

    Each use has its own `purpose`. With one purpose for all, a limit would take one side of the split first.
    """
    text = f"{purpose}:{seed}:{key}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def draw(
    purpose: str, items: Iterable[Item], limit: int, key: Callable[[Item], int | str], seed: int = 0
) -> list[Item]:
    """Return the `limit` items whose salted hash of their `key` is smallest, in the order of the hash.

    Reads `items` once and keeps at most `limit` of them in memory. A tie is broken by the key.
    """

    def rank(item: Item) -> tuple[int, int | str]:
        value = key(item)
        return salted(purpose, seed, value), value

    return heapq.nsmallest(limit, items, key=rank)
