"""Say why the local BigQuery did not start, from the end of its log, and which command helps."""

from pathlib import Path

from tuning.errors import TuningError
from tuning.resource_errors import disk_error

_NOISE = "Unsupported property property"  # sqlglot writes it for many statements
_NOT_READABLE = (
    *("not a valid duckdb database file", "serialization error", "fatal error", "internal error", "corrupt"),
    *("trying to read a database file with version", "checksum", "could not read enough bytes", "replaying wal"),
)


def explained(log: Path) -> TuningError:
    """Return the error for a server that did not start."""
    text = log.read_text(errors="replace").lower()
    words = last_lines(log)
    if full := disk_error(text, log.parent):  # on a full disk, the log is empty
        return TuningError(f"the local BigQuery did not start: {full}")
    if any(part in text for part in _NOT_READABLE):
        return TuningError(
            f"the local BigQuery cannot read its database {log.parent}: {words}",
            f"It is damaged, or another version wrote it. Delete it (`rm -r {log.parent}`), then load the data again: "
            "`invoke sample`, or `invoke ingest DUMP`",
        )
    return TuningError(
        f"the local BigQuery did not start: {words}",
        f"See the log {log}. Check that its folder exists, no other process uses that folder, and the disk is not full",
    )


def last_lines(log: Path, count: int = 3) -> str:
    """Return the last lines of a log as one line."""
    try:
        text = log.read_text(errors="replace")
    except OSError as error:
        return f"its log cannot be read ({error.strerror})"
    lines = [line.strip()[:300] for line in text.splitlines() if line.strip() and line.strip() != _NOISE]
    return " | ".join(lines[-count:]) or "its log does not say why"
