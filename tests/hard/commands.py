"""Real commands in a home of their own: run, killed at a moment, with their output, and what they leave behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from tests.homes import free_port
from tuning.settings import PACKAGE, PREFIX, PROJECT_ROOT, Settings
from tuning.warehouse import emulator

LONGEST = 1800  # seconds; a command that takes longer hangs
_INVOKE = str(Path(sys.executable).with_name("invoke"))


@dataclass(frozen=True)
class Outcome:
    """What a command printed and returned. `status` is negative if a signal ended it."""

    command: str
    status: int
    out: str
    err: str
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether the command succeeded, or failed with one line that begins with ``error:``."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        return "Traceback" not in self.out + self.err and (
            self.status == 0 or (self.status == 1 and len(errors) == 1 and lines[-1] == errors[0])
        )

    def __str__(self) -> str:
        return f"`invoke {self.command}` ended with {self.status} after {self.seconds:.0f} s:\n{self.out}\n{self.err}"


class Home:
    """A home, its settings and its commands.

    `prefix` stands before each command, such as a limit. `temporary` is the commands' TMPDIR; it is beside the home if
    none is given.
    """

    def __init__(
        self, folder: Path, prefix: Sequence[str] = (), temporary: Path | None = None, **variables: str
    ) -> None:
        self.settings = Settings(home=folder, bigquery_port=free_port())
        self.prefix = tuple(prefix)
        self.temporary = temporary or folder.with_name(f"{folder.name}-tmp")
        self.temporary.mkdir(parents=True, exist_ok=True)
        ours = {
            # The second folder is that of dbt's plugin: the installed package may be that of another checkout.
            "PYTHONPATH": f"{PROJECT_ROOT}{os.pathsep}{PACKAGE / 'warehouse' / 'dbt_plugin'}",
            "TMPDIR": str(self.temporary),
            "TUNING_HOME": str(folder),
            "TUNING_BIGQUERY_PORT": str(self.settings.bigquery_port),
            # Few examples, because the commands are tested here and not the model.
            "TUNING_EVALUATION_EXAMPLES": "6",
            "TUNING_EVALUATION_ANSWERS": "1",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = kept | ours | variables

    @property
    def folder(self) -> Path:
        return self.settings.home

    def start(self, *command: str, prefix: Sequence[str] = ()) -> "Running":
        return Running(self, command, (*self.prefix, *prefix))

    def run(self, *command: str, prefix: Sequence[str] = ()) -> Outcome:
        return self.start(*command, prefix=prefix).wait()

    def must(self, *command: str) -> Outcome:
        outcome = self.run(*command)
        assert outcome.status == 0, str(outcome)
        return outcome

    def server(self) -> psutil.Process | None:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            if server := emulator.running(self.settings):
                return psutil.Process(server.pid)
        return None

    def kill_server(self) -> bool:
        """Kill the process of the local BigQuery alone. Return False if it was not running."""
        server = self.server()
        if server:
            server.kill()
            psutil.wait_procs([server], timeout=30)
        return server is not None

    def processes(self) -> list[psutil.Process]:
        """The processes that work for this home, without the local BigQuery's."""
        found, server = [], self.server()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.environ().get("TUNING_HOME") == str(self.folder) and process != server:
                    found.append(process)
        return found

    def orphans(self, seconds: float = 60) -> list[str]:
        """The command lines of the processes that still run `seconds` after their command has ended."""
        deadline = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        lines = []
        for process in left:
            with contextlib.suppress(psutil.Error):
                lines.append(" ".join(process.cmdline())[:200])
        return lines

    def close(self) -> None:
        with contextlib.suppress(Exception):
            emulator.stop(self.settings)
        self.kill_server()


class Running:
    """A command that runs in a process group of its own."""

    def __init__(self, home: Home, command: Sequence[str], prefix: Sequence[str]) -> None:
        self.home, self.command = home, " ".join(command)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*prefix, _INVOKE, *command],
            cwd=PROJECT_ROOT,
            env=home.environment,
            stdin=subprocess.DEVNULL,
            # No files, because a limit of file size would count for them too.
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._texts: dict[str, str] = {}
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()

    def ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None

    def kill(self) -> Outcome:
        """Send SIGKILL to the process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> Outcome:
        """Wait for the end. A command that hangs is killed, and its status is -9."""
        try:
            self.process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        seconds = time.monotonic() - self.started
        for reader in self._readers:
            reader.join(60)  # a process that was left behind may keep the pipe open
        texts = [self._texts.get(name, "") for name in ("stdout", "stderr")]
        return Outcome(self.command, self.process.returncode, *texts, seconds)

    def _read(self, name: str) -> None:
        with getattr(self.process, name) as pipe:
            self._texts[name] = pipe.read().decode(errors="replace")


@contextlib.contextmanager
def open_home(folder: Path, prefix: Sequence[str] = (), temporary: Path | None = None) -> Iterator[Home]:
    """Yield a home. Its server is stopped at the end."""
    home = Home(folder, prefix, temporary)
    try:
        yield home
    finally:
        home.close()
