"""Isolate a process and run one program in it. This code runs in the child that ``isolate.py`` forks.

Any error before the program starts ends the process, so that untrusted code never runs with less protection than was
requested.
"""

import contextlib
import json
import os
import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple, NoReturn

from tuning.answers import child
from tuning.answers.sandbox import folders, kernel, landlock, limits, namespaces, seccomp, semaphores

NOT_ISOLATED = 125  # the exit status if the isolation fails, whether or not the reason could be written to the pipe

_LINUX = sys.platform == "linux"
_ROOT = namespaces.is_root()


class Pipes(NamedTuple):
    """Hold the child's ends of the pipes."""

    result: int
    printed: int  # for output that bypasses Python's sys.stdout and sys.stderr
    unshared: int  # the child writes a byte when it has new namespaces
    mapped: int  # the child reads a byte when its users are mapped


class Child:
    """Represent a process that isolates itself and then runs a program."""

    def __init__(self, protection: str, pipes: Pipes, user: int, abi: int) -> None:
        """Prepare to run as the user ID `user` under `protection`. `abi` is the newest version of Landlock to use."""
        self._protection, self._pipes, self._user, self._abi = protection, pipes, user, abi

    def run(self, request: dict[str, str], word: str, work: Path, tasks: int | None) -> NoReturn:
        """Isolate this process, run the program in the folder `work` and write its result to the result pipe.

        The random `word` is written before the result, to show that it comes from this process. `tasks` is the maximum
        number of processes and threads of the user in all (None: no limit). If the isolation fails, the reason is
        written instead, and the program does not run.
        """
        try:
            needed = folders.needed()
            self._close_files()
            # If memory runs out, the kernel kills this process first, and not a process outside the sandbox.
            with contextlib.suppress(OSError):
                Path("/proc/self/oom_score_adj").write_text("1000")
            if self._protection == limits.NAMESPACES:
                self._enter_namespaces(work, needed)
            elif self._protection == limits.LANDLOCK:
                self._enter_landlock(work, needed)
            elif self._protection == limits.LIMITS:
                self._enter_folder(work, needed)
            else:
                raise ValueError(f"no protection {self._protection}")  # noqa: TRY301
            limits.bind(tasks)
            if self._protection != limits.LIMITS:
                self._filter()
            _tidy(needed)
        except BaseException as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            os.write(self._pipes.result, b"F" + reason.encode(errors="replace")[:2000] + b"\n")
            os._exit(NOT_ISOLATED)
        _run(self._pipes.result, request, word)

    def _close_files(self) -> None:
        """Close all files except the pipes, and redirect standard output and standard error to the pipe `printed`."""
        nothing = os.open("/dev/null", os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(self._pipes.printed, 1)
        os.dup2(self._pipes.printed, 2)
        kept = {0, 1, 2, self._pipes.result, self._pipes.unshared, self._pipes.mapped}
        for descriptor in {int(name) for name in os.listdir("/dev/fd")} - kept:  # noqa: PTH208 - not paths
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _enter_namespaces(self, root: Path, needed: list[Path]) -> None:
        namespaces.unshare()
        os.write(self._pipes.unshared, b"\n")
        if not os.read(self._pipes.mapped, 1):
            raise OSError("the new user namespace has no users")
        os.close(self._pipes.unshared)
        os.close(self._pipes.mapped)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        first = os.fork()
        if first:
            # This process is not in the new process namespace but has privileges in the other ones, so it only waits.
            os.close(self._pipes.result)
            kernel.die_with_parent()
            os._exit(_wait(first))
        if os.getpid() != 1:
            raise OSError("not the first process of the new process namespace")
        user = self._user if _ROOT else namespaces.NOBODY
        namespaces.enter(root, needed, user)
        _become(user, None)
        program = os.fork()
        if program:
            # When this process, the first of its process namespace, ends, the kernel kills all others in the namespace.
            os.closerange(0, self._pipes.result + 1)
            os._exit(_wait(program))
        kernel.hide_memory()
        kernel.die_with_parent()
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _set_home(namespaces.WORK)

    def _enter_landlock(self, work: Path, needed: list[Path]) -> None:
        self._abi = min(landlock.version(), self._abi)
        semaphores.replace()
        self._enter_folder(work, needed)
        readable = [Path(path) for path in ("/etc/passwd", "/etc/group", "/dev/random", "/dev/urandom")]
        writable = [Path(path) for path in ("/dev/null", "/dev/zero", "/dev/full")]
        landlock.restrict([*needed, *readable], [work, *writable], self._abi)

    def _enter_folder(self, work: Path, needed: list[Path]) -> None:
        os.chdir(work)
        if _LINUX:
            # If Python is in /root, which other users cannot read, the program keeps one capability of root: to read
            # all files. Landlock then restricts it to the given paths. Without Landlock, it can read every file.
            reachable = not _ROOT or self._is_reachable([work, *needed])
            _become(self._user, None if reachable else kernel.CAP_DAC_READ_SEARCH)
        elif _ROOT:
            _change_user(self._user)
        os.close(self._pipes.unshared)
        os.close(self._pipes.mapped)
        _set_home(work)

    def _is_reachable(self, paths: list[Path]) -> bool:
        """Return whether the program's user can read the paths without a capability of root."""
        asked = os.fork()
        if asked == 0:
            try:
                _change_user(self._user)
                os._exit(0 if all(os.access(path, os.R_OK) for path in paths) else 1)
            finally:
                os._exit(1)
        return _wait(asked) == 0

    def _filter(self) -> None:
        alone = self._protection == limits.NAMESPACES
        filter_program = seccomp.program(
            others_signals=alone or self._abi >= landlock.SIGNALS_SINCE,
            sessions=alone,
            owner=alone or _ROOT,
            truncation=alone or self._abi >= landlock.TRUNCATE_SINCE,
        )
        kernel.filter_calls(filter_program)
        if not kernel.is_filtered() or (_ROOT and os.getuid() == 0):
            raise OSError("the filter of system calls is not in force")


def _change_user(user: int) -> None:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def _become(user: int, keep: int | None) -> None:
    """Give up all capabilities except `keep`, change to `user` if this is root, and end when the parent ends."""
    kernel.limit_capabilities(keep)
    if _ROOT:
        if keep is not None:
            kernel.keep_capabilities()
        _change_user(user)
    kernel.drop_capabilities(keep)
    kernel.forbid_new_privileges()
    kernel.hide_memory()
    kernel.die_with_parent()


def _wait(process: int) -> int:
    """Wait until `process` ends, and return its exit status. As in a shell, it is 128 plus the number of a signal."""
    while True:
        number, status = os.wait()
        if number == process:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _set_home(work: Path) -> None:
    os.environ.update(HOME=str(work), TMPDIR=str(work))


def _tidy(needed: list[Path]) -> None:
    """Make Python look as if it had been started for the program alone."""
    sys.path[:] = [path for path in sys.path if folders.is_below_any(Path(path), needed)]
    sys.path_importer_cache.clear()
    sys.argv[:] = ["answer.py"]
    tempfile.tempdir = None
    random.seed(0)  # an answer that draws random numbers does the same each time


def _run(result: int, request: dict[str, str], word: str) -> NoReturn:
    me = os.getpid()
    os.write(result, b"S")
    try:
        try:
            told = child.run(request["setup"], request["code"], request["check"])
        except Exception as raised:  # in the setup, or when values are copied or compared
            error = f"outside of the code and the check, {type(raised).__name__}: {raised}"[:500]
            told = {"ran": False, "passed": False, "error": error, "check": "", "output": ""}
        if os.getpid() == me:  # not in a process that the program forked and that continued up to this line
            message = (word + json.dumps(told) + "\n").encode()
            while message:
                message = message[os.write(result, message) :]
    finally:
        os._exit(0)
