"""Hash the files of an artifact, to detect whether the artifact has changed since it was written."""

from pathlib import Path

from tuning.storage import total_sha256


def listing_sha256(path: Path) -> str:
    """Return a hash of the names and sizes of the files in a folder, or of one file. It does not read the files."""
    return total_sha256(path, lambda file: str(file.stat().st_size))
