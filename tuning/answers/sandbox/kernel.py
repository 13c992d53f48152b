"""Call the parts of Linux that Python has no function for.

Numbers are those of linux/capability.h, linux/prctl.h, linux/mount.h and asm/unistd.h. Nothing here runs on macOS.
"""

import ctypes
import os
import platform
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)

# The index into each pair of system call numbers, by `platform.machine()`.
ARCHITECTURES = {"x86_64": 0, "aarch64": 1}
_NUMBERS = {
    "pivot_root": (155, 41),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_NOSYMFOLLOW = 256
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_GET_SECCOMP, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 21, 22, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 39, 47
_PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 2, 4
_SECCOMP_MODE_FILTER = 2
CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SIGKILL = 9


def _checked(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def architecture() -> int:
    """Return the index of this processor in pairs of system call numbers. Raises OSError for other processors."""
    place = ARCHITECTURES.get(platform.machine())
    if place is None:
        raise OSError(f"no system call numbers for {platform.machine()}")
    return place


def call(name: str, *args: object) -> int:
    """Make the system call `name` with integers, bytes, None or ctypes values. Raises OSError if the kernel refuses."""
    numbers = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _checked(_LIBC.syscall(ctypes.c_long(_NUMBERS[name][architecture()]), *numbers), name)


def _prctl(what: str, option: int, *args: object) -> int:
    numbers = [ctypes.c_ulong(arg) if isinstance(arg, int) else arg for arg in args]
    numbers += [ctypes.c_ulong(0)] * (4 - len(numbers))
    return _checked(_LIBC.prctl(option, *numbers), what)


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`. Raises OSError if the kernel refuses."""
    result = _LIBC.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _checked(result, f"mount {target}")


def change_root(folder: Path) -> None:
    """Make the mount `folder` the root of this mount namespace and unmount the old root.

    Raises OSError if the kernel refuses.
    """
    os.chdir(folder)
    call("pivot_root", b".", b".")
    _checked(_LIBC.umount2(b".", _MNT_DETACH), "umount the old root")
    os.chdir("/")


def unshare(flags: int) -> None:
    """Move this process into new namespaces. Raises OSError if the kernel refuses."""
    _checked(_LIBC.unshare(flags), "unshare")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl("adopt orphans", _PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Make the kernel kill this process (SIGKILL) when its parent ends."""
    _prctl("die with the parent", _PR_SET_PDEATHSIG, _SIGKILL)


def hide_memory() -> None:
    """Prevent other processes of the same user from reading this process's memory, and prevent core dumps."""
    _prctl("hide the memory", _PR_SET_DUMPABLE, 0)


def keep_capabilities() -> None:
    """Keep the permitted capabilities during the next setuid, so that `drop_capabilities` can keep one of them."""
    _prctl("keep capabilities", _PR_SET_KEEPCAPS, 1)


def limit_capabilities(keep: int | None) -> None:
    """Prevent this process and those that it starts from getting any capability again, except `keep`.

    Does nothing if this process is not privileged to do so.
    """
    for capability in range(64):
        if capability != keep and _LIBC.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) == -1:
            break  # the first number that the kernel does not know, or no right to change the set


def drop_capabilities(keep: int | None) -> None:
    """Give up every capability except `keep`, which started programs inherit. Raises OSError if the kernel refuses."""
    _prctl("clear ambient capabilities", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    kept = 0 if keep is None else 1 << keep
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # The effective, permitted and inheritable sets of capabilities 0 to 31, then those of capabilities 32 to 63.
    sets = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)
    _checked(_LIBC.capset(header, sets), "drop capabilities")
    if keep is not None:
        _prctl("keep a capability", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, keep)


def forbid_new_privileges() -> None:
    """Make setuid programs run without additional privileges. This cannot be undone."""
    _prctl("forbid new privileges", _PR_SET_NO_NEW_PRIVS, 1)


def filter_calls(program: bytes) -> None:
    """Filter this process's system calls by a BPF program. This cannot be undone.

    Raises OSError if the kernel refuses.
    """

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    loaded = Program(len(program) // 8, program)
    _prctl("filter system calls", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(loaded))


def is_filtered() -> bool:
    """Return whether a filter of system calls is in force and new privileges are forbidden."""
    return _prctl("", _PR_GET_SECCOMP) == _SECCOMP_MODE_FILTER and _prctl("", _PR_GET_NO_NEW_PRIVS) == 1
