"""Represent what a pipeline run returned: its steps and its outputs."""

from typing import Any

import msgspec


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one finished step of a run."""

    name: str
    seconds: float  # 0 if kfp.local took the step from its cache
    cached: bool


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one output of the pipeline: a value, or the path and metadata of an artifact."""

    value: object = None
    path: str = ""
    metadata: dict[str, Any] = {}
