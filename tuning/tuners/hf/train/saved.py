"""Name what a local tuning saves, and read it. This module loads no library."""

from pathlib import Path

import msgspec

from tuning.errors import TuningError
from tuning.tuners.hf.models.folder_checks import ADAPTER_SETTINGS

ADAPTER, MERGED = "adapter", "merged"
FINISHED = "finished.json"  # the Model that the tuning returns, written last


def adapter_settings(adapter: Path) -> dict[str, object]:
    """Return the settings of the adapter in a folder. Raises TuningError if they are missing or damaged."""
    path = adapter / ADAPTER_SETTINGS
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    except (OSError, msgspec.DecodeError) as error:
        raise TuningError(
            f"{path} cannot be read ({error})", "Restore the model from a backup, or tune a new one"
        ) from None
