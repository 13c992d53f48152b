"""Name what a local tuning saves, and read it. This module loads no library."""

from pathlib import Path
from typing import Annotated

import msgspec

from tuning.records import read_record
from tuning.tuners.hf.models.folder_checks import ADAPTER_SETTINGS

ADAPTER, MERGED = "adapter", "merged"
FINISHED = "finished.json"  # the Model that the tuning returns, written last
_REMEDY = "Restore the model from a backup, or tune a new one"


def adapter_settings(adapter: Path) -> dict[str, object]:
    """Return the settings of the adapter in a folder. Raises TuningError if they are missing or damaged."""
    return read_record(adapter / ADAPTER_SETTINGS, dict[str, object], _REMEDY)


def adapter_rank(adapter: Path) -> int:
    """Return the rank of the adapter in a folder. Raises TuningError as `adapter_settings` does."""
    return read_record(adapter / ADAPTER_SETTINGS, _Rank, _REMEDY).r


class _Rank(msgspec.Struct):
    r: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
