"""Refuse the system calls with which a program could reach beyond its sandbox.

The filter lists the calls to refuse. A list of the calls to allow would depend on the versions of Python, numpy and
pandas. System calls that are newer than the list are refused too. Each call has a pair of numbers: for x86-64 (from
asm/unistd_64.h) and for 64-bit Arm (from asm-generic/unistd.h). -1 means that the processor has no such call.
"""

import errno
import os
import struct
from collections.abc import Iterable

from tuning.answers.sandbox import kernel

_NEWEST = 462  # mseal, Linux 6.10: the newest call that the lists below take into account

# Calls that change mounts, namespaces or the machine, and other calls that only administrators need.
_ADMINISTRATION = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "sethostname": (170, 161),
    "setdomainname": (171, 162), "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1),
    "personality": (135, 92), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
}  # fmt: skip
# Calls that act on other processes: on their memory and scheduling, or by signals with data.
_PROCESSES = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "kcmp": (312, 272), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239), "sched_setattr": (314, 274),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
}  # fmt: skip
# Calls to large parts of the kernel that often have vulnerabilities, and calls that watch other folders.
_KERNEL = {
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "inotify_add_watch": (254, 27),
}  # fmt: skip
# Network calls. The sockets that socketpair returns are already connected and need none of these.
_NETWORK = {
    "socket": (41, 198), "bind": (49, 200), "connect": (42, 203), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242),
}  # fmt: skip
# Calls for memory that no limit counts, or that remains allocated after the program ends.
_MEMORY = {
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181), "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
}  # fmt: skip
# Calls with arguments in memory, which a filter cannot read. Callers fall back to older calls.
_UNREADABLE = {
    "clone3": (435, 435), "openat2": (437, 437), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}  # fmt: skip
_ATTRIBUTES = {
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip
_SESSIONS = {"setsid": (112, 157), "setpgid": (109, 154)}
_OWNERSHIP = {
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1),
    "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54), "utime": (132, -1), "utimes": (235, -1),
    "futimesat": (261, -1), "utimensat": (280, 88),
}  # fmt: skip
_SIGNALS = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)}
_SOCKETPAIR, _IOCTL, _FCNTL, _CLONE = (53, 199), (16, 29), (72, 25), (56, 220)
_AFFINITY, _PRLIMIT, _PRIORITY, _TRUNCATE = (203, 122), (302, 261), (141, 140), (76, 45)
_OPEN, _OPENAT = (2, -1), (257, 56)

TABLES = (_ADMINISTRATION, _PROCESSES, _KERNEL, _NETWORK, _MEMORY, _UNREADABLE, _ATTRIBUTES, _SESSIONS, _OWNERSHIP,
          _SIGNALS, {"socketpair": _SOCKETPAIR, "ioctl": _IOCTL, "fcntl": _FCNTL, "clone": _CLONE, "open": _OPEN,
                     "sched_setaffinity": _AFFINITY, "prlimit64": _PRLIMIT, "setpriority": _PRIORITY,
                     "truncate": _TRUNCATE, "openat": _OPENAT})  # fmt: skip

_AF_UNIX, _SOCK_STREAM, _SOCK_TYPES = 1, 1, 0xF
# The allowed requests: TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX and FIOCLEX, which isatty, subprocess
# and sockets use.
_IOCTLS = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# The refused commands: with F_SETOWN, F_SETSIG and F_SETOWN_EX, the kernel sends a signal to any process. F_SETLEASE
# blocks other processes that open the file.
_FCNTLS = (8, 10, 15, 1024)
_NEW_NAMESPACES = 0x7E020000  # the CLONE_NEW flags of linux/sched.h
_O_ACCMODE, _O_TRUNC = 3, 0o1000

# Constants from linux/filter.h and linux/seccomp.h.
_LOAD, _EQUAL, _GREATER, _AND, _RETURN = 0x20, 0x15, 0x25, 0x54, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _PROCESSOR, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_AUDIT_ARCHITECTURES = (0xC000003E, 0xC00000B7)

Instruction = tuple[int, int, int, int]  # operation, jump if true, jump if false, value


def _return(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)


def _refused(number: int) -> Instruction:
    return _return(_ERRNO | number)


def _load_argument(place: int) -> Instruction:
    """Return the instruction that loads the lower 32 bits of the argument at index `place`.

    All arguments that are checked are ints, of which the kernel reads only these bits.
    """
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * place)


def _one_of(place: int, values: Iterable[int], mask: int | None = None) -> list[Instruction]:
    """Return instructions that continue if the argument is one of `values`, and otherwise refuse the call with EPERM.

    With `mask`, only the bits of the argument that are set in it are compared.
    """
    wanted = [value & 0xFFFFFFFF for value in values]
    code = [_load_argument(place)]
    if mask is not None:
        code.append((_AND, 0, 0, mask))
    code += [(_EQUAL, len(wanted) - at, 0, value) for at, value in enumerate(wanted)]
    return [*code, _refused(errno.EPERM)]


def _none_of(place: int, values: Iterable[int], mask: int, number: int) -> list[Instruction]:
    """Return instructions that refuse the call with the error `number` if the masked argument is one of `values`."""
    code = [_load_argument(place), (_AND, 0, 0, mask)]
    for value in values:
        code += [(_EQUAL, 0, 1, value), _refused(number)]
    return code


def program(*, others_signals: bool, sessions: bool, owner: bool, truncation: bool) -> bytes:
    """Return the filter for the process that calls this, as instructions for ``kernel.filter_calls``.

    - `others_signals`: the program may signal other processes, because something else protects those outside the
      sandbox. Otherwise, it may signal only this process and its group.
    - `sessions`: a process may leave its group and session. Otherwise, all processes stay in the group, so that killing
      the group kills all of them.
    - `owner`: the user owns nothing outside the work folder, so that changing a mode, owner or time is harmless.
      Otherwise, such calls do nothing but report success, because copying a file needs them.
    - `truncation`: something else protects files outside the work folder from being truncated. Otherwise, the filter
      refuses ``truncate`` and opening for reading with O_TRUNC, which Landlock ignores before its third version.

    Raises OSError on a processor that the filter is not written for.
    """
    place = kernel.architecture()
    own = os.getpid()
    code: list[Instruction] = [
        (_LOAD, 0, 0, _PROCESSOR),
        (_EQUAL, 1, 0, _AUDIT_ARCHITECTURES[place]),
        _return(_KILL),  # for example, a 32-bit program, whose system calls have other numbers
        (_LOAD, 0, 0, _NUMBER),
        (_GREATER, 0, 1, _NEWEST),
        _refused(errno.ENOSYS),
    ]

    def check(numbers: tuple[int, int], *conditions: list[Instruction]) -> None:
        if numbers[place] >= 0:
            steps = [step for condition in conditions for step in condition] + [_return(_ALLOW)]
            code.extend([(_EQUAL, 0, len(steps), numbers[place]), *steps])

    def refuse(calls: dict[str, tuple[int, int]], action: Instruction) -> None:
        for numbers in calls.values():
            if numbers[place] >= 0:
                code.extend([(_EQUAL, 0, 1, numbers[place]), action])

    check(_IOCTL, _one_of(1, _IOCTLS))
    check(_FCNTL, _none_of(1, _FCNTLS, 0xFFFFFFFF, errno.EPERM))
    check(_SOCKETPAIR, _one_of(0, [_AF_UNIX]), _one_of(1, [_SOCK_STREAM], _SOCK_TYPES))
    # Refuse a call with any of these bits: each bit is checked separately.
    flags = [1 << bit for bit in range(32) if _NEW_NAMESPACES >> bit & 1]
    check(_CLONE, *(_none_of(0, [flag], flag, errno.EPERM) for flag in flags))
    check(_AFFINITY, _one_of(0, [0, own]))
    check(_PRLIMIT, _one_of(0, [0, own]))
    check(_PRIORITY, _one_of(0, [0]), _one_of(1, [0, own]))
    if not truncation:
        for numbers, flags_at in ((_OPEN, 1), (_OPENAT, 2)):
            check(numbers, _none_of(flags_at, [_O_TRUNC], _O_ACCMODE | _O_TRUNC, errno.EPERM))
        refuse({"truncate": _TRUNCATE}, _refused(errno.EPERM))
    for numbers in _SIGNALS.values():
        if not others_signals:
            check(numbers, _one_of(0, [0, own, -own]))
    for calls in (_ADMINISTRATION, _PROCESSES, _KERNEL, _NETWORK, _MEMORY):
        refuse(calls, _refused(errno.EPERM))
    refuse(_UNREADABLE, _refused(errno.ENOSYS))
    refuse(_ATTRIBUTES, _refused(errno.ENOTSUP))
    if not sessions:
        refuse(_SESSIONS, _refused(errno.EPERM))
    if not owner:
        refuse(_OWNERSHIP, _refused(0))
    code.append(_return(_ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
