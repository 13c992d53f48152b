"""Represent what a pipeline run returned: its steps and its outputs."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]  # more, about 32 years, is a damaged record


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one finished step of a run."""

    name: str
    seconds: Seconds  # 0 if kfp.local took the step from its cache
    cached: bool


def took(started: float, before: Sequence[Step] = ()) -> float:
    """Return the seconds since `started`, a value of ``time.monotonic()``, and of the steps that ran before."""
    return round(sum(step.seconds for step in before) + time.monotonic() - started, 1)


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one output of the pipeline: a value, or the path and metadata of an artifact."""

    value: object = None
    path: str = ""
    metadata: dict[str, Any] = {}
