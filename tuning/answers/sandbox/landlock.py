"""Restrict a process and the processes that it starts to given folders, with Landlock (Linux 5.13 and later).

Numbers are from linux/landlock.h. docs.kernel.org/userspace-api/landlock says what each version can restrict.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from tuning.answers.sandbox import kernel

NEWEST = 6  # the newest version whose rights are used here. Newer kernels offer these, too.
TRUNCATE_SINCE, SIGNALS_SINCE = 3, 6  # the first versions that can restrict truncating files, and sending signals
_REFER_SINCE, _NETWORK_SINCE, _DEVICES_SINCE = 2, 4, 5

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL_OF_VERSION_1 = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_MAKE_DEVICES_AND_SOCKETS = 1 << 6 | 1 << 9 | 1 << 11
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_TCP_AND_CONNECT_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1


def version() -> int:
    """Return the version of the kernel's Landlock, at most `NEWEST`. Raises OSError if it is missing or turned off."""
    return min(kernel.call("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION), NEWEST)


def restrict(readable: Iterable[Path], writable: Iterable[Path], abi: int) -> None:
    """Restrict access to files, TCP and signals to other processes, as far as Landlock's version `abi` can.

    Below `readable`, files can be read and executed. Below `writable`, everything is allowed except creating devices
    and sockets, and device-specific ioctl calls. Paths that do not exist are left out. Call
    `kernel.forbid_new_privileges` before. Raises OSError if the kernel refuses.
    """
    handled = _ALL_OF_VERSION_1
    handled |= _REFER if abi >= _REFER_SINCE else 0
    handled |= _TRUNCATE if abi >= TRUNCATE_SINCE else 0
    handled |= _IOCTL_DEV if abi >= _DEVICES_SINCE else 0
    network = _BIND_TCP_AND_CONNECT_TCP if abi >= _NETWORK_SINCE else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if abi >= SIGNALS_SINCE else 0
    # Older kernels accept a longer struct if the fields that they do not know are 0.
    attributes = struct.pack("=QQQ", handled, network, scoped)
    ruleset = kernel.call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _EXECUTE | _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(ruleset, path, handled & ~_IOCTL_DEV & ~_MAKE_DEVICES_AND_SOCKETS)
        kernel.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(folder).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, folder)
        kernel.call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(folder)
