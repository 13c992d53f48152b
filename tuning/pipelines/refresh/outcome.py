"""Keep the outcome of each refresh in ``gs://BUCKET/refreshes/``, by the name of the run and by the key of its inputs.

The exit step and the command that started the run read the first. A later refresh with the same key finds the second.
"""

import msgspec

from tuning.gcs.storage import find_storage, put_bytes
from tuning.records import decode_record, encode_record
from tuning.settings import Settings


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a refresh did. `run_id` is empty if nothing had changed."""

    run_id: str = ""
    lines: list[str]


def write_outcome(settings: Settings, name: str, outcome: Outcome) -> None:
    """Store an outcome under a name. Raises TuningError if that fails."""
    put_bytes(settings, encode_record(outcome), _address(settings, name))


def find_outcome(settings: Settings, name: str) -> Outcome | None:
    """Return the outcome with this name, or None. Raises TuningError if it is damaged or cannot be read."""
    address = _address(settings, name)
    if address not in find_storage(settings).addresses(address):
        return None
    with find_storage(settings).open(address) as file:
        return decode_record(file.read(), Outcome, address, f"Delete {address}, and run the command again")


def _address(settings: Settings, name: str) -> str:
    return f"gs://{settings.bucket}/refreshes/{name}.json"
