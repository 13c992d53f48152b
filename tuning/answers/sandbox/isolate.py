"""Run programs one after the other, each in a separate sandbox. This is the trusted process outside the sandboxes.

This package starts it with `main` and its arguments. The process writes the line ``ready``. Then it reads one JSON
object per line from standard input, the request, and writes one JSON object per line to standard output, the answer.
At the end of standard input, it kills the running program and ends.

A request has ``setup``, ``code`` and ``check``. An answer has ``ran``, ``passed``, ``error``, ``check`` and ``output``
as ``child.run`` returns them. If the sandbox could not be set up, the answer has only ``failed``, the reason. Then no
program was run.

Each program runs in a child of this process that first isolates itself. The child writes its result to a pipe: ``S``
when it starts the untrusted code, or ``F`` and the reason if it cannot start it. After ``S`` it writes a random word,
which only these two processes know, and the result. A program that writes into the pipe itself first has to find that
word in its own memory. This is possible, because the check runs in the same process as the code: a program that looks
for its check can make it pass.
"""

import contextlib
import json
import os
import secrets
import select
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TypedDict, get_type_hints

from tuning.answers.sandbox import folders, inside, kernel, limits, namespaces, processes

_POLL = 0.2  # seconds between checks of all memory, disk space and processes together, which the kernel does not limit
_SLACK = 16  # processes and threads that the kernel allows in addition to `limits.TASKS`
_LINUX = sys.platform == "linux"


class _Answer:
    """Hold what a program has sent, and why it was ended."""

    def __init__(self) -> None:
        self.sent = b""
        self.printed = 0
        self.reason = ""
        self.ended: int | None = None  # a process's status, as os.waitstatus_to_exitcode returns it


class Result(TypedDict):
    """Hold what the program did."""

    ran: bool
    passed: bool
    error: str
    check: str
    output: str


class NotStarted(TypedDict):
    """Hold the reason why the program was not started."""

    failed: str


class Isolator:
    """Run programs under one protection."""

    def __init__(self, protection: str, folder: str, abi: int) -> None:
        """Prepare. `abi` is the newest version of Landlock to use."""
        self._protection = protection
        self._folder = folder
        self._abi = abi
        self._root = namespaces.is_root()
        self._user = namespaces.FIRST_USER + os.getpid() % namespaces.USERS if self._root else os.getuid()
        self._stopped, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def run(self, request: dict[str, str]) -> Result | NotStarted:
        """Run one program and return the answer."""
        work = tempfile.mkdtemp(prefix="answer_", dir=self._folder)
        if self._root:
            os.chown(work, self._user, self._user)
        result, result_in = os.pipe()
        printed, printed_in = os.pipe()
        unshared, unshared_in = os.pipe()
        mapped, mapped_in = os.pipe()
        word = secrets.token_hex(16)
        tasks = self._most_tasks()
        process = os.fork()
        if process == 0:
            try:
                # Create a separate session and group, so that killing the group does not kill this package's process.
                os.setsid()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                pipes = inside.Pipes(result_in, printed_in, unshared_in, mapped)
                inside.Child(self._protection, pipes, self._user, self._abi).run(request, word, Path(work), tasks)
            finally:
                os._exit(inside.NOT_ISOLATED)
        for end in (result_in, printed_in, unshared_in, mapped):
            os.close(end)
        try:
            if self._protection == limits.NAMESPACES and os.read(unshared, 1):
                with contextlib.suppress(OSError):  # the child then reads nothing from `mapped`, and reports that
                    namespaces.map_users(process)
                    os.write(mapped_in, b"\n")
            os.close(mapped_in)
            answer = self._watch(process, result, printed, work)
        finally:
            processes.end(process)
            folders.remove(work)
            for end in (result, printed, unshared):
                os.close(end)
        return _read_answer(answer, word)

    def _most_tasks(self) -> int | None:
        """Return the limit for RLIMIT_NPROC, which counts all processes and threads of a user, or None on macOS.

        This limit stops a fork bomb until `_exceeded` detects it, so it is a little higher than `limits.TASKS`. Unless
        root gives the program a separate user, it also includes what the user already runs.
        """
        if not _LINUX:
            return None
        return limits.TASKS + _SLACK + (0 if self._root else processes.tasks_of_user())

    def _watch(self, process: int, result: int, printed: int, work: str) -> _Answer:
        """Read what the program sends until it is done, ends or exceeds a limit."""
        answer = _Answer()
        start = time.monotonic()
        look = start + _POLL
        free = folders.free_bytes(work)
        open_pipes = {result, printed}
        while not answer.reason and not answer.sent.endswith(b"\n"):
            now = time.monotonic()
            if now >= start + limits.SECONDS:
                answer.reason = limits.TOO_LONG
                break
            if now >= look:
                answer.reason = _exceeded(work, free)
                look = time.monotonic() + _POLL
                continue
            wait = min(look, start + limits.SECONDS) - now
            ready = select.select([*open_pipes, self._stopped, 0], [], [], wait)[0]
            if 0 in ready:
                sys.exit(0)  # the requesting process has ended; `finally` in `run` kills the running program
            if result in ready:
                _read(result, answer, open_pipes)
                if len(answer.sent) > limits.RESULT:
                    answer.reason = limits.TOO_MUCH_PRINTED
            if printed in ready:
                chunk = os.read(printed, 1 << 16)
                answer.printed += len(chunk)
                if not chunk:
                    open_pipes.discard(printed)
                if answer.printed > limits.PRINTED:
                    answer.reason = limits.TOO_MUCH_PRINTED
            if self._stopped in ready:
                os.read(self._stopped, 1 << 12)
                answer.ended = _reap(process)
                if answer.ended is not None:
                    while result in open_pipes and select.select([result], [], [], 0)[0]:
                        _read(result, answer, open_pipes)
                        if len(answer.sent) > limits.RESULT:
                            break
                    break
        return answer


def _read(result: int, answer: _Answer, open_pipes: set[int]) -> None:
    chunk = os.read(result, 1 << 16)
    answer.sent += chunk
    if not chunk:
        open_pipes.discard(result)


def _reap(process: int) -> int | None:
    """Reap every child that has ended. Return the exit code of `process`, or None if it has not ended."""
    ended = None
    with contextlib.suppress(ChildProcessError):
        while True:
            number, status = os.waitpid(-1, os.WNOHANG)
            if not number:
                break
            if number == process:
                ended = os.waitstatus_to_exitcode(status)
    return ended


def _exceeded(work: str, free: int) -> str:
    """Return which limit all processes of the program together exceed, or ''.

    `free` is the number of free bytes on the disk when the program started.
    """
    found = processes.descendants().values()
    if sum(process.threads for process in found) > limits.TASKS:
        return limits.TOO_MANY_TASKS
    if sum(process.memory for process in found) > limits.MEMORY:
        return limits.TOO_MUCH_MEMORY
    # The second condition detects files that were removed but are still open: they take space but are in no folder.
    if folders.too_much_in(work) or folders.free_bytes(work) < free // 2:
        return limits.TOO_MUCH_DISK
    return ""


def _read_answer(answer: _Answer, word: str) -> Result | NotStarted:
    """Return the result that the program sent. If it sent no valid one, return a result with the reason as `error`."""
    kind, sent = answer.sent[:1], answer.sent[1:]
    if kind == b"F":
        return {"failed": sent.decode(errors="replace").strip()}
    if kind != b"S":
        why = answer.reason or f"it ended with status {answer.ended}"
        return {"failed": f"before the program was started, {why}"}
    error = answer.reason
    if not error and sent:
        if sent.startswith(word.encode()) and (result := _result(sent[len(word) :])):
            return result
        error = "wrote into the pipe for its result"
    if not error and answer.ended is not None:
        error = _how_it_ended(answer.ended)
    return {"ran": False, "passed": False, "error": error, "check": "", "output": ""}


def _result(line: bytes) -> Result | None:
    """Return the result in `line`, or None if it is invalid. A program that found the word can write anything."""
    try:
        result: Result = json.loads(line)
        kinds = {name: type(value) for name, value in result.items()}
    except (ValueError, RecursionError, AttributeError):
        return None
    return result if kinds == get_type_hints(Result) else None


def _how_it_ended(status: int) -> str:
    # If a signal ended the program, the first process of its process namespace returns 128 plus the signal's number.
    number = -status if status < 0 else status - 128
    if number == signal.SIGXCPU:
        return limits.TOO_MUCH_PROCESSOR
    if 0 < number < signal.NSIG:
        return f"was killed by signal {number}"
    return f"ended with status {status} before its check"


def main(protection: str, folder: str, abi: int) -> None:
    """Answer requests until standard input ends."""
    if _LINUX:
        kernel.adopt_orphans()
    isolator = Isolator(protection, folder, abi)
    # Redirect standard output to standard error, so that nothing else gets between the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    _write_line(answers, b"ready")
    for line in sys.stdin.buffer:
        _write_line(answers, json.dumps(isolator.run(json.loads(line))).encode())


def _write_line(answers: int, line: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(answers, "wb", closefd=False) as file:
        file.write(line + b"\n")
