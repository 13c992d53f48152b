"""Run untrusted code, such as a language model's, together with its check.

Each program runs in a separate process, in an empty folder, as an unprivileged user, with limits on time, memory,
disk, processes and output. The protection depends on what the machine allows. From the best to the weakest:

- ``namespaces``: Linux namespaces. The program has a separate file system that contains only Python and the system's
  programs, no network, and no access to other processes. System calls are filtered, too.
- ``landlock+seccomp``: the program can read only what Python needs and write only in its folder (Landlock, Linux 5.13).
  A filter of system calls refuses sockets and signals to processes outside. The program can still find out the names of
  other files. Unlike with ``namespaces``, there is no /proc and no /dev/shm, no process can leave its group, and if the
  user is not root, changing a file's mode, owner or time has no effect. Before Landlock's sixth version (Linux 6.12), a
  program cannot end single processes that it has started.
- ``limits``: only the limits. The program can reach the network and all files of the user, so use this only for trusted
  code. macOS has only this protection, without limits on memory and on the number of processes.

A program can make its own check pass, for example by changing what ``==`` does, because the check runs in the same
process.
"""

import contextlib
import functools
import json
import os
import queue
import select
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tuning.answers.sandbox import limits
from tuning.answers.sandbox.limits import LIMITS as LIMITS
from tuning.errors import TuningError
from tuning.progress import progress

if TYPE_CHECKING:  # _START imports it in another process. This import includes it in the hash of a step's code.
    from tuning.answers.sandbox import isolate  # noqa: F401

_ROOT = Path(__file__).resolve().parents[3]
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from tuning.answers.sandbox import isolate; del sys.path[0]; "
    "isolate.main(sys.argv[2], sys.argv[3], int(sys.argv[4]))"
)
_NEWEST_LANDLOCK = 99
# Seconds to wait for a result. ``isolate.py`` ends a program after `limits.SECONDS`.
_PATIENCE = limits.SECONDS + 30
# Environment variables for OpenBLAS. On some processors, numpy does not work without them.
_KEPT = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Program(NamedTuple):
    """Hold what one process runs, in this order. The module ``tuning.answers.child`` lists what a check may use."""

    setup: str
    code: str
    check: str


class Result(NamedTuple):
    """Hold what a program did.

    `ran` is true if the code raised no exception, and `passed` if the check raised none. `error` is one line: what the
    code raised, or else what the check raised, or the limit that was exceeded.
    """

    ran: bool
    passed: bool
    error: str
    output: str


@functools.cache
def protection() -> str:
    """Return the best protection that works here. To find out, run a small program that tries to escape from it."""
    return next((name for name in limits.PROTECTIONS[:-1] if not why_not(name)), LIMITS)


@functools.cache
def why_not(protection: str) -> str:
    """Return why `protection` does not work on this machine, or '' if it does.

    A small program tries to reach a server on this machine, and to read and write a file whose mode allows it.
    """
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        outside = Path(folder)
        outside.chmod(0o777)
        (outside / "file").write_text("")
        (outside / "file").chmod(0o666)
        server.settimeout(0)
        try:
            result = run([Program("", _escape(outside, server.getsockname()[1]), "")], protection=protection, workers=1)
        except TuningError as error:
            return str(error)
        reached = []
        with contextlib.suppress(BlockingIOError):
            server.accept()
            reached.append("network")
        if (outside / "file").read_text() or (outside / "new").exists():
            reached.append("writing")
    if reached or not result[0].ran or result[0].output.strip() != "done":
        return f"A program escaped or did not run: {' '.join([*reached, result[0].error, result[0].output]).strip()}."
    return ""


def _escape(outside: Path, port: int) -> str:
    return f"""
import contextlib, os, socket
with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", {port}), 1)
    print("network")
with contextlib.suppress(OSError):
    open({str(outside / "file")!r}).read()
    print("reading")
with contextlib.suppress(OSError):
    open({str(outside / "file")!r}, "w").write("written")
    print("writing")
with contextlib.suppress(OSError):
    open({str(outside / "new")!r}, "w").write("written")
    print("writing")
print("done")
"""


def run(programs: Sequence[Program], *, protection: str, workers: int) -> list[Result]:
    """Run the programs, at most `workers` at a time, and return their results in the same order.

    Raises TuningError if the protection could not be set up. No program is run without it.
    """
    with tempfile.TemporaryDirectory(prefix="answers_") as folder:
        # The programs' users can enter their own folders in this one, but cannot list it.
        Path(folder).chmod(0o711)
        count = min(workers, len(programs))
        with contextlib.ExitStack() as stack:
            free: queue.Queue[_Isolator] = queue.Queue()
            for _ in range(count):
                free.put(stack.enter_context(contextlib.closing(_Isolator(protection, folder))))

            def run_one(program: Program) -> Result:
                isolator = free.get()
                try:
                    return isolator.run(program)
                finally:
                    free.put(isolator)

            pool = ThreadPoolExecutor(max(1, count))
            try:
                with progress("running code", len(programs), "answers") as advance:
                    results = []
                    for result in pool.map(run_one, programs):
                        results.append(result)
                        advance(1)
                return results
            finally:
                pool.shutdown(cancel_futures=True)


class _Isolator:
    """Represent the trusted process that isolates programs, one at a time. ``isolate.py`` describes the protocol."""

    def __init__(self, protection: str, folder: str, abi: int = _NEWEST_LANDLOCK) -> None:
        if protection not in limits.PROTECTIONS:
            raise ValueError(f"no protection {protection}")
        # Not -I, because it ignores PYTHONHASHSEED, so that the order of sets would change from run to run. Instead,
        # -P, -s and a new environment keep out the user's modules and settings.
        self._command = [sys.executable, "-P", "-s", "-B", "-c", _START]
        self._command += [str(_ROOT), protection, folder, str(abi)]
        self._protection = protection
        self._folder = folder
        self._start()

    def _start(self) -> None:
        self._said = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed in `close`
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        self._is_ready = False
        self._process = subprocess.Popen(
            self._command,
            stdin=requests,
            stdout=answers,
            stderr=self._said,
            cwd=self._folder,
            env=dict(_environment()),
            start_new_session=True,
        )
        os.close(requests)
        os.close(answers)

    def run(self, program: Program) -> Result:
        """Run one program. Raises TuningError if the sandbox could not be set up."""
        if not self._is_ready and self._read_line() != b"ready\n":
            raise _not_set_up(self._last_words())
        self._is_ready = True
        request = json.dumps(program._asdict()).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while request:
                request = request[os.write(self._requests, request) :]
        line = self._read_line()
        if not line.endswith(b"\n"):
            if self._protection != LIMITS:
                raise _not_set_up(self._last_words())
            # Under this protection, the program can kill the process that watches it. Start another one.
            self.close()
            self._start()
            return Result(ran=False, passed=False, error="the process that watches the program ended", output="")
        answer = json.loads(line)
        if "failed" in answer:
            raise _not_set_up(answer["failed"])
        # Replace lone surrogates: a Python string can contain them, but a UTF-8 file cannot.
        error, output = (
            text.encode(errors="replace").decode() for text in (answer["error"] or answer["check"], answer["output"])
        )
        return Result(ran=answer["ran"], passed=answer["passed"], error=" ".join(error.split()), output=output)

    def _last_words(self) -> str:
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else "the process that watches the program ended"

    def _read_line(self) -> bytes:
        """Return the next line, or its received part if the process ends or `_PATIENCE` seconds pass before its end."""
        until = time.monotonic() + _PATIENCE
        line = b""
        while not line.endswith(b"\n") and (left := until - time.monotonic()) > 0:
            if select.select([self._answers], [], [], left)[0]:
                chunk = os.read(self._answers, 1 << 16)
                if not chunk:
                    break
                line += chunk
        return line

    def close(self) -> None:
        """End the process, and with it the program that it runs."""
        os.close(self._requests)
        os.close(self._answers)
        self._said.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _not_set_up(why: str) -> TuningError:
    return TuningError(f"The sandbox for the code of answers could not be set up: {why}")


def _environment() -> Iterator[tuple[str, str]]:
    """Yield the environment variables of a program, except HOME and TMPDIR, which are set to its folder later."""
    folder = Path(sys.executable).parent
    yield "PATH", f"{folder}:/usr/local/bin:/usr/bin:/bin"
    yield "LANG", "C.UTF-8"
    yield "TZ", "UTC"
    yield "USER", "nobody"
    yield "PYTHONHASHSEED", "0"
    yield "PYTHONDONTWRITEBYTECODE", "1"
    # Otherwise, each thread that allocates memory would take 0.13 GB of the limited address space.
    yield "MALLOC_ARENA_MAX", "2"
    for name in _THREADS:
        yield name, "1"
    for name in _KEPT:
        if name in os.environ:
            yield name, os.environ[name]
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and sys.platform == "linux":
        yield "LD_LIBRARY_PATH", str(sysconfig.get_config_var("LIBDIR"))
