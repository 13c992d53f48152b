"""Artifacts as KFP hands them to a step, without KFP."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec


class FakeArtifact:
    def __init__(self, path: Path, **metadata: Any) -> None:
        self.path = str(path)
        self.metadata = metadata


def request(path: Path, record: msgspec.Struct) -> FakeArtifact:
    path.write_bytes(msgspec.json.encode(record))
    return FakeArtifact(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
