"""A small disk for a home: a tmpfs, mounted as root or in a user namespace."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

BALLAST = "ballast"


@dataclass(frozen=True)
class SmallDisk:
    """`folder` is its path for commands that start with `prefix`; `seen` is its path for this process."""

    folder: Path
    seen: Path
    prefix: tuple[str, ...]

    def leave(self, free: int) -> None:
        """Fill the disk so that `free` bytes are left."""
        self.empty()
        left = shutil.disk_usage(self.seen).free - free
        with (self.seen / BALLAST).open("wb") as file:
            for _ in range(max(left, 0) // 4096):
                file.write(bytes(4096))

    def empty(self) -> None:
        (self.seen / BALLAST).unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Yield a tmpfs of `size` bytes. Skip the test where neither mount nor a user namespace is allowed."""
    folder.mkdir(parents=True)
    if sys.platform != "linux":
        pytest.skip("a tmpfs is mounted on Linux only")
    mount, unshare, umount = (shutil.which(name) or name for name in ("mount", "unshare", "umount"))
    options = ("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    if _works([mount, *options]):
        try:
            yield SmallDisk(folder, folder, ())
        finally:
            subprocess.run([umount, "--lazy", str(folder)], check=False)
        return
    script = 'mount "$@" && echo ready && exec cat'
    holder = subprocess.Popen(
        [unshare, "-rm", "sh", "-c", script, "sh", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    if holder.stdout.readline() != "ready\n":
        pytest.skip("this machine allows neither `mount` nor `unshare -rm`")
    nsenter = shutil.which("nsenter") or "nsenter"
    try:
        seen = Path(f"/proc/{holder.pid}/root{folder}")
        yield SmallDisk(folder, seen, (nsenter, "-t", str(holder.pid), "-U", "-m", "--preserve-credentials", "--"))
    finally:
        holder.communicate("")


def _works(command: list[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False
