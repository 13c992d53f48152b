"""Say which files Python needs, and measure and remove the folder of a program."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tuning.answers.sandbox import limits

# Programs and libraries of the system, and what the loader, time zones and Debian's choices of programs need. A path
# may be a link, such as /lib to usr/lib. Nix keeps every program and library below one folder.
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
)  # fmt: skip
_BLOCK = 512  # bytes: the unit of st_blocks


def needed() -> list[Path]:
    """Return the folders and files that Python, its packages and system programs are in: a folder before those in it.

    Raises OSError if Python is installed straight into a home folder, for then the whole home would be needed.
    """
    homes = {Path("/root")}
    with contextlib.suppress(KeyError):
        homes.add(Path(pwd.getpwuid(os.getuid()).pw_dir).resolve())
    prefixes = {Path(prefix) for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)}
    prefixes |= {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    prefixes.add(Path(sys.executable).resolve().parent.parent)
    wanted = [Path(path) for path in _SYSTEM if Path(path).exists()]
    for prefix in sorted(prefixes):
        for path in (prefix.resolve(), prefix):
            if not path.exists() or is_below_any(path, wanted):
                continue
            for home in homes - {Path("/")}:
                if home.is_relative_to(path):
                    raise OSError(f"Python's folder {path} holds the home folder {home}")
            wanted.append(path)
    return sorted(wanted)


def is_below_any(path: Path, among: list[Path]) -> bool:
    """Return whether `path` is one of the folders or in one of them, by their names."""
    return any(path.is_relative_to(folder) for folder in among)


def too_much_in(folder: str) -> bool:
    """Return whether the files in `folder` take more disk space or are more than a program may have."""
    size = entries = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
                    if size > limits.DISK or entries > limits.ENTRIES:
                        return True
        except (FileNotFoundError, PermissionError):
            continue  # removed meanwhile, or closed to everyone
        except OSError:
            return True  # a path that is longer than the system can open
    return False


def free_bytes(folder: str) -> int:
    """Return how much an unprivileged user can still write to the disk that `folder` is on."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def remove(folder: str) -> None:
    """Remove a folder and all in it, also folders that are nested deeper than Python or a path's length can follow."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwx", folder], ["rm", "-rf", folder]):
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
