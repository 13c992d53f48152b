"""Keep the decisions of people about single examples: `invoke review` writes them, `--decisions FILE` honors them.

The file is JSON Lines with one example per line, sorted by example, so that a change of it is easy to read:

    {"example_id": "1-2", "decision": "reject", "reason": "the answer is out of date"}
"""

import functools
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from tuning.errors import TuningError
from tuning.records import read_lines
from tuning.storage import write_bytes

REASON = "rejected in a review"  # in the funnel
_REMEDY = 'Each line is like {"example_id": "1-2", "decision": "reject", "reason": "out of date"}'


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Represent what a person decided about an example."""

    example_id: Annotated[str, msgspec.Meta(min_length=1, max_length=5_000)]  # of own data, it has a path of a file
    decision: Literal["keep", "reject"]
    reason: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


def read_decisions(path: Path) -> dict[str, Decision]:
    """Return the decisions by example. Raises TuningError if a line is not valid or names an example again."""
    found: dict[str, Decision] = {}
    for one in read_lines(path, Decision, _REMEDY):
        if one.example_id in found:
            raise TuningError(f"{path} decides about {one.example_id} twice", "Delete one of the two lines")
        found[one.example_id] = one
    return found


def write_decisions(path: Path, decisions: dict[str, Decision]) -> None:
    """Write the decisions in the order of their examples."""
    write_bytes(path, b"".join(msgspec.json.encode(decisions[name]) + b"\n" for name in sorted(decisions)))


@functools.lru_cache(maxsize=1)
def rejected(path: Path) -> frozenset[str]:
    """Return the rejected examples. Raises TuningError as `read_decisions` does."""
    return frozenset(name for name, one in read_decisions(path).items() if one.decision == "reject")
