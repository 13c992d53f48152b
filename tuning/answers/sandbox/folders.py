"""List the files that Python needs, and measure and remove the folder of a program."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tuning.answers.sandbox import limits

# Programs and libraries of the system, and what the dynamic loader, time zones and Debian's alternatives need. A path
# can be a symbolic link, such as /lib to usr/lib. Nix keeps all programs and libraries in /nix/store.
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
)  # fmt: skip
_BLOCK = 512  # bytes: the unit of st_blocks


def needed() -> list[Path]:
    """Return the paths that contain Python, its packages and the system's programs, a folder before those inside it.

    Raises OSError if Python is installed directly in a home folder, because programs could then read all files in it.
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
                    raise OSError(f"Python's folder {path} contains the home folder {home}")
            wanted.append(path)
    return sorted(wanted)


def is_below_any(path: Path, among: list[Path]) -> bool:
    """Return whether `path` is one of the folders `among` or inside one of them. Symbolic links are not followed."""
    return any(path.is_relative_to(folder) for folder in among)


def too_much_in(folder: str) -> bool:
    """Return whether `folder` exceeds a program's limit on disk space or on the number of files and folders."""
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
            continue  # the folder was removed meanwhile, or its mode forbids reading
        except OSError:
            return True  # the path is longer than the system can open
    return False


def free_bytes(folder: str) -> int:
    """Return the number of bytes that an unprivileged user can still write to the disk that `folder` is on."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def remove(folder: str) -> None:
    """Remove a folder and its content, even if it is nested too deeply for Python or for the maximum path length."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwx", folder], ["rm", "-rf", folder]):
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
