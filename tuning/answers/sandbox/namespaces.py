"""Move a process into new namespaces: without network, without other processes, and with a new file system.

The file system is small and in memory. It contains the folders that Python needs (read-only), a few devices, /proc,
and a writable folder in memory. See user_namespaces(7), mount_namespaces(7) and pivot_root(2).
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from tuning.answers.sandbox import folders, kernel, limits

WORK = Path("/answer")  # where a program runs
NOBODY = 65534  # the user ID of a program, unless root starts it
# If root starts programs, each worker runs them as one of these user IDs, so that programs of different workers cannot
# reach each other. No account has an ID of this range, from which systemd takes the IDs of temporary users.
FIRST_USER, USERS = 61_184, 4_000

_FLAGS = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)
# Options that a mount from outside can have. A remount must repeat them, because the kernel refuses to remove them.
_OPTIONS = {
    "noexec": kernel.MS_NOEXEC,
    "nosymfollow": kernel.MS_NOSYMFOLLOW,
}
# Each device has a separate mount, because devices cannot be used on a mount with MS_NODEV. That mount need not be
# read-only, which would not prevent writing to a device anyway.
_DEVICES = ("dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom")
_SHARED_MEMORY = "dev/shm"  # for semaphores and shared memory
_NO_DEVICES = kernel.MS_NOSUID | kernel.MS_NODEV


def is_root() -> bool:
    """Return whether this process is root and can run programs as other users. Some containers have no other users."""
    if os.getuid() != 0:
        return False
    with contextlib.suppress(FileNotFoundError):
        ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
        return any(int(first) <= FIRST_USER and int(first) + int(n) >= FIRST_USER + USERS for first, _, n in ranges)
    return True


def unshare() -> None:
    """Move this process into new namespaces. Its next child is the first process of the new process namespace.

    Raises OSError if the kernel refuses. The process has no user until another process calls `map_users` for it.
    """
    kernel.unshare(_FLAGS)


def map_users(process: int) -> None:
    """Map the users of a process that has called `unshare`. Raises OSError if the kernel refuses.

    If this process is root, all user IDs stay the same, because root must be able to read folders of all users. The
    process then has to change to an unprivileged user. Otherwise, it becomes the user nobody, and no other user exists.
    """
    if is_root():
        for which in ("uid_map", "gid_map"):
            ranges = [line.split() for line in Path(f"/proc/self/{which}").read_text().splitlines()]
            lines = [f"{first} {first} {count}\n" for first, _, count in ranges]
            _write(f"/proc/{process}/{which}", "".join(lines))
        return
    _write(f"/proc/{process}/setgroups", "deny")
    _write(f"/proc/{process}/uid_map", f"{NOBODY} {os.getuid()} 1")
    _write(f"/proc/{process}/gid_map", f"{NOBODY} {os.getgid()} 1")


def _write(path: str, text: str) -> None:
    # In a single call, because the kernel refuses a second write to uid_map and gid_map.
    target = os.open(path, os.O_WRONLY)
    try:
        os.write(target, text.encode())
    finally:
        os.close(target)


def enter(root: Path, needed: Iterable[Path], user: int) -> None:
    """Build a file system with the paths `needed` at the folder `root`, and make it the root of this process.

    This process must be the first one of its process namespace. Its working directory is then `WORK`, which belongs to
    `user`. Raises OSError if the kernel refuses.
    """
    kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", _NO_DEVICES, "size=1m,mode=755")
    for name in ("dev", "etc", "proc", _SHARED_MEMORY, WORK.relative_to("/")):
        (root / name).mkdir(parents=True)
    _write_files(root, user)
    for device in _DEVICES:
        (root / device).touch()
    for path in needed:
        _show(root, path)
    _make_read_only(root)
    for device in _DEVICES:
        kernel.mount(f"/{device}", root / device, flags=kernel.MS_BIND)
    size = f"size={limits.DISK},mode=700,uid={user},gid={user}"
    kernel.mount("tmpfs", root / WORK.relative_to("/"), "tmpfs", _NO_DEVICES, f"nr_inodes={limits.ENTRIES},{size}")
    kernel.mount("tmpfs", root / _SHARED_MEMORY, "tmpfs", _NO_DEVICES, f"nr_inodes={limits.ENTRIES},{size}")
    # In a container that hides parts of /proc, the kernel does not allow a new /proc. The program then has none.
    with contextlib.suppress(PermissionError):
        kernel.mount("proc", root / "proc", "proc", _NO_DEVICES | kernel.MS_NOEXEC | kernel.MS_RDONLY)
    kernel.change_root(root)
    os.chdir(WORK)


def _write_files(root: Path, user: int) -> None:
    for name, text in {
        "passwd": f"root:x:0:0:root:/:/bin/false\nnobody:x:{user}:{user}:nobody:{WORK}:/bin/false\n",
        "group": f"root:x:0:\nnogroup:x:{user}:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }.items():
        (root / "etc" / name).write_text(text)
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        (root / "dev" / name).symlink_to(f"/proc/self/fd{target}")


def _show(root: Path, path: Path) -> None:
    """Make `path` visible in the new file system. A link of the system, such as /lib to usr/lib, stays a link."""
    shown = root / path.relative_to("/")
    if shown.exists():
        return
    shown.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() and folders.is_below_any(path.resolve(), [Path("/usr"), Path("/etc")]):
        shown.symlink_to(path.readlink())
        return
    if path.is_dir():
        shown.mkdir()
    else:
        shown.touch()
    kernel.mount(str(path), shown, flags=kernel.MS_BIND | kernel.MS_REC)


def _make_read_only(root: Path) -> None:
    """Make every mount at and below `root` read-only, including the mounts inside the folders that `_show` mounted."""
    for target, options in list(_mounts()):
        if target.is_relative_to(root):
            flags = kernel.MS_RDONLY | _NO_DEVICES
            for option in options:
                flags |= _OPTIONS.get(option, 0)
            kernel.mount("none", target, flags=flags | kernel.MS_REMOUNT | kernel.MS_BIND)


def _mounts() -> Iterable[tuple[Path, list[str]]]:
    """Yield the path and the options of each mount. proc_pid_mountinfo(5) describes the format."""
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        fields = line.split(b" ")
        target = fields[4]
        for escaped, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
            target = target.replace(escaped, character)
        yield Path(os.fsdecode(target)), fields[5].decode().split(",")
