"""Define the resource limits of a program, and set those that the kernel enforces."""

import resource
import sys

NAMESPACES, LANDLOCK, LIMITS = PROTECTIONS = ("namespaces", "landlock+seccomp", "limits")

SECONDS = 10  # of wall-clock time, and of processor time for each process
# Bytes of address space of each process, and of resident memory of all processes together. Importing pandas takes
# 0.4 GB.
MEMORY = 2 << 30
DISK = 100_000_000  # bytes of each file, and of all files
ENTRIES = 10_000  # files and folders
PRINTED = 1_000_000  # bytes of output that bypasses Python's sys.stdout: of os.write and of started programs
RESULT = 4_000_000  # bytes of a result: 100,000 characters of output take 600,000 if each is escaped
TASKS = 128  # processes and threads together
OPEN_FILES = 256

TOO_LONG = f"took longer than {SECONDS} s"
TOO_MUCH_PROCESSOR = f"used more than {SECONDS} s of processor time"
TOO_MUCH_MEMORY = f"used more than {MEMORY >> 30} GB of memory"
TOO_MUCH_DISK = f"wrote more than {DISK // 1_000_000} MB or {ENTRIES} files"
TOO_MANY_TASKS = f"started more than {TASKS} processes and threads"
TOO_MUCH_PRINTED = f"printed more than {PRINTED // 1_000_000} MB"


def bind(tasks: int | None) -> None:
    """Limit this process and the processes that it starts. Raises OSError or ValueError if the kernel refuses.

    `tasks` is the maximum number of processes and threads of the user in all, or None for no limit. On macOS, memory is
    not limited, because its count of address space includes what all processes share.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, SECONDS, SECONDS + 1)  # SIGXCPU; if that is caught, SIGKILL 1 s later
    _limit(resource.RLIMIT_FSIZE, DISK)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    if sys.platform != "darwin":
        _limit(resource.RLIMIT_AS, MEMORY)
    if tasks is not None:
        _limit(resource.RLIMIT_NPROC, tasks)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    most = resource.getrlimit(which)[1]
    wanted = soft if hard is None else hard
    if most != resource.RLIM_INFINITY:
        soft, wanted = min(soft, most), min(wanted, most)
    resource.setrlimit(which, (soft, wanted))
