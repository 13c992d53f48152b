"""The sandbox: hostile programs reach nothing and end, and harmless ones run as they would elsewhere.

Each test runs on each protection that this machine has. A hostile program's check passes only if its attack succeeded.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.answers import running
from tuning.answers import sandbox
from tuning.answers.sandbox import _Isolator, limits, seccomp
from tuning.answers.sandbox.limits import LANDLOCK, LIMITS, NAMESPACES
from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT

SECRET = "the secret of the parent"  # noqa: S105 - a fake
LINUX = sys.platform == "linux"
OWN = os.getpid()  # in the marks by which processes are found: other runs of these tests on this machine have others
linux = pytest.mark.skipif(not LINUX, reason="needs /proc and Linux's limits")


def skip_without(protection: str) -> None:
    if protection != LIMITS and (why := sandbox.why_not(protection)):
        pytest.skip(f"{protection} does not work on this machine: {why}")


@pytest.fixture(params=limits.PROTECTIONS)
def protection(request: pytest.FixtureRequest) -> str:
    """Each protection."""
    skip_without(request.param)
    return str(request.param)


@pytest.fixture(params=[NAMESPACES, LANDLOCK])
def shut(request: pytest.FixtureRequest) -> str:
    """Each protection that shuts off files, the network and other processes."""
    skip_without(request.param)
    return str(request.param)


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder beside those of the programs, in which everyone may do everything: only the sandbox is in the way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o777)
        (path / "canary").write_text(SECRET)
        (path / "canary").chmod(0o666)
        before = names(PROJECT_ROOT)
        yield path
        assert (path / "canary").read_text() == SECRET
        assert (path / "canary").stat().st_mode & 0o777 == 0o666
        assert names(path) == ["canary"]
        assert names(PROJECT_ROOT) == before


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


def run(protection: str, code: str, check: str = "", setup: str = "") -> sandbox.Result:
    program = sandbox.Program(textwrap.dedent(setup), textwrap.dedent(code), textwrap.dedent(check))
    return sandbox.run([program], protection=protection, workers=1)[0]


def prepare(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Change something in the process that shuts programs in, such as a limit that would take long to reach."""
    modules = "isolate, kernel, landlock, limits"
    start = f"import sys; sys.path.insert(0, sys.argv[1]); from tuning.answers.sandbox import {modules}\n{code}\n"
    monkeypatch.setattr(sandbox, "_START", start + "isolate.main(sys.argv[2], sys.argv[3], int(sys.argv[4]))")


def run_with_landlock(abi: int, code: str, check: str = "") -> sandbox.Result:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        with contextlib.closing(_Isolator(LANDLOCK, folder, abi)) as isolator:
            return isolator.run(sandbox.Program("", textwrap.dedent(code), textwrap.dedent(check)))


def processes_of(mark: str) -> list[int]:
    """The processes with `mark` as an argument or as their name."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if mark.encode() in (*words, (folder / "comm").read_bytes().strip()):
                    found.append(int(folder.name))
    return found


# Results


def test_the_best_protection_that_works_is_taken() -> None:
    works = [name for name in (NAMESPACES, LANDLOCK) if not sandbox.why_not(name)]
    assert sandbox.protection() == [*works, LIMITS][0]


def test_limits_alone_does_not_pass_for_protection() -> None:
    assert "network writing" in sandbox.why_not(LIMITS)


def test_a_program_that_passes(protection: str) -> None:
    result = run(protection, "print(start + 1)", "assert found(3) and output == '3\\n'", setup="start = 2")
    assert result == sandbox.Result(ran=True, passed=True, error="", output="3\n")


def test_a_program_whose_check_fails(protection: str) -> None:
    result = run(protection, "x = 1", "assert x == 2, 'not 2'")
    assert result == sandbox.Result(ran=True, passed=False, error="AssertionError: not 2", output="")


def test_a_program_that_raises(protection: str) -> None:
    result = run(protection, "print('so far')\nraise ValueError('two\\nlines')", "assert False")
    assert result == sandbox.Result(ran=False, passed=False, error="ValueError: two lines", output="so far\n")


def test_a_program_whose_setup_raises(protection: str) -> None:
    result = run(protection, "x = 1", "", setup="1 / 0")
    error = "outside of the code and the check, ZeroDivisionError: division by zero"
    assert result == sandbox.Result(ran=False, passed=False, error=error, output="")


def test_a_result_that_no_file_can_hold_or_no_parser_read(protection: str) -> None:
    assert run(protection, "print('\\ud800')").output == "?\n"
    # The program has found the random word, and writes what would stop the reader.
    forge = """
        import gc, os
        words = {{text for found in gc.get_objects() for text in gc.get_referents(found) if type(text) is str}}
        for word in words:
            if len(word) == 32 and set(word) <= set("0123456789abcdef"):
                os.write(3, word.encode() + {!r} + b"\\n")
                os._exit(0)
    """
    for line in (b"[" * 100_000, b"[]", b"{}", b'{"failed": "x"}', b'{"passed": true}'):
        result = run(protection, forge.format(line), "assert False")
        assert not result.passed


def test_results_are_in_the_order_of_the_programs(protection: str) -> None:
    programs = [sandbox.Program("", f"import time; time.sleep({(7 - n) / 30}); print({n})", "") for n in range(8)]
    results = sandbox.run(programs, protection=protection, workers=3)
    assert [result.output for result in results] == [f"{n}\n" for n in range(8)]


def test_no_programs(protection: str) -> None:
    assert sandbox.run([], protection=protection, workers=2) == []


def test_the_same_program_does_the_same_each_time(protection: str) -> None:
    code = "import random; print({'one', 'two', 'three', 'four', 'five'}, random.random(), hash('x'))"
    programs = [sandbox.Program("", code, "")] * 4
    results = sandbox.run(programs, protection=protection, workers=2)
    assert len({result.output for result in results}) == 1
    assert results[0].output


def test_no_file_is_left_to_the_next_program(protection: str) -> None:
    code = "import os; print(os.listdir('.')); open('left', 'w').close()"
    results = sandbox.run([sandbox.Program("", code, "")] * 3, protection=protection, workers=1)
    assert [result.output for result in results] == ["[]\n"] * 3


def test_what_cannot_be_set_up_is_an_error_and_runs_nothing(monkeypatch: pytest.MonkeyPatch, outside: Path) -> None:
    program = sandbox.Program("", f"open({str(outside / 'ran')!r}, 'w').close()", "")
    with pytest.raises(ValueError, match="no protection"):
        sandbox.run([program], protection="bars", workers=1)
    monkeypatch.setattr(sandbox, "_START", "raise SystemExit('no isolator')")
    with pytest.raises(TuningError, match="could not be set up: no isolator"):
        sandbox.run([program], protection=LIMITS, workers=1)
    refuse = "def refuse(*_, **__): raise PermissionError('not here')\n"
    prepare(monkeypatch, refuse + "kernel.unshare = kernel.mount = landlock.restrict = limits.bind = refuse")
    for protection in limits.PROTECTIONS:
        with pytest.raises(TuningError, match="could not be set up"):
            sandbox.run([program], protection=protection, workers=1)


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ("kernel.filter_calls = lambda _: None", "filter of system calls is not in force"),
        ("isolate.namespaces.map_users = lambda _: 1 / 0", "ZeroDivisionError"),
        ("import os; isolate.inside._become = lambda *_: os._exit(0)", "before the program was started"),
        ("import os, signal; limits.bind = lambda _: os.kill(os.getpid(), 9)", "before the program was started"),
    ],
)
def test_a_program_does_not_start_if_a_step_fails(
    shut: str, monkeypatch: pytest.MonkeyPatch, spoilt: str, why: str
) -> None:
    if "map_users" in spoilt and shut != NAMESPACES:
        pytest.skip("no users are mapped")
    prepare(monkeypatch, spoilt)
    with pytest.raises(TuningError, match=why):
        run(shut, "print(1)")


# Limits


@pytest.mark.slow
def test_time_is_limited_to_ten_seconds() -> None:
    """On all protections at once."""
    levels = [name for name in limits.PROTECTIONS if name == LIMITS or not sandbox.why_not(name)]
    start = time.monotonic()
    with ThreadPoolExecutor(len(levels)) as pool:
        results = list(pool.map(lambda level: run(level, "import time; time.sleep(60)"), levels))
    assert {result.error for result in results} == {"took longer than 10 s"}
    assert 10 < time.monotonic() - start < 20


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    pass",
        "import subprocess\nsubprocess.run(['sleep', '4242.OWN'])",
        "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\ntime.sleep(60)",
    ],
)
def test_time_is_limited(protection: str, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    prepare(monkeypatch, "limits.SECONDS = 1")
    result = run(protection, code.replace("OWN", str(OWN)))
    assert result.error in (limits.TOO_LONG, limits.TOO_MUCH_PROCESSOR)
    assert not result.passed
    assert not result.ran
    if LINUX:
        assert processes_of(f"4242.{OWN}") == []


def test_processor_time_is_limited(protection: str) -> None:
    code = """
        import resource, signal
        assert resource.getrlimit(resource.RLIMIT_CPU) == (10, 11)
        resource.setrlimit(resource.RLIMIT_CPU, (1, 11))
        while True:
            pass
    """
    assert run(protection, code).error == "used more than 10 s of processor time"


@linux
def test_memory_is_limited(protection: str) -> None:
    result = run(protection, "x = bytearray(10_000_000_000)", "assert x")
    assert result == sandbox.Result(ran=False, passed=False, error="MemoryError", output="")
    result = run(protection, "import numpy\nx = numpy.ones(1_250_000_000)", "assert x")
    assert "Unable to allocate" in result.error
    assert not result.passed


@linux
def test_memory_of_all_processes_together_is_limited(protection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch, "limits.MEMORY = 300_000_000")
    code = """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                x = bytearray(150_000_000)
                x[::4096] = b"x" * len(x[::4096])
                time.sleep(60)
        time.sleep(60)
    """
    assert run(protection, code).error == limits.TOO_MUCH_MEMORY


def test_files_are_limited_in_size(protection: str) -> None:
    too_large = "OSError: [Errno 27] File too large"
    result = run(protection, f"open('long', 'wb').truncate({limits.DISK + 1})", "assert False")
    assert (result.error, result.passed) == (too_large, False)
    code = """
        with open("endless", "wb") as file:
            while True:
                file.write(b"x" * 1_000_000)
    """
    result = run(protection, code, "assert False")
    # The limit of all files is the same size. Where the machine is busy, it may be noticed first.
    full = ("OSError: [Errno 28] No space left on device", "wrote more than 100 MB or 10000 files")
    assert result.error in (too_large, *full)
    assert not result.passed


def test_files_together_are_limited_in_size(protection: str) -> None:
    code = """
        import time
        for n in range(40):
            with open(f"file{n}", "wb") as file:
                for _ in range(50):
                    file.write(b"x" * 1_000_000)
            time.sleep(0.05)
    """
    result = run(protection, code)
    assert result.error in ("wrote more than 100 MB or 10000 files", "OSError: [Errno 28] No space left on device")


def test_folders_are_limited_in_number_and_depth(protection: str) -> None:
    code = """
        import os, time
        while True:
            os.mkdir("deeper")
            os.chdir("deeper")
    """
    result = run(protection, code)
    assert not result.ran
    assert "wrote more than" in result.error or "No space left" in result.error


def test_open_files_are_limited(protection: str) -> None:
    result = run(protection, "files = [open('file', 'w') for _ in range(100_000)]")
    assert result.error == "OSError: [Errno 24] Too many open files: 'file'"


def test_output_is_limited(protection: str) -> None:
    result = run(protection, "import os\nwhile True:\n    os.write(1, b'x' * 100_000)")
    assert result == sandbox.Result(ran=False, passed=False, error="printed more than 1 MB", output="")
    result = run(protection, "for _ in range(10_000):\n    print('x' * 1000)")
    assert result.ran
    assert len(result.output) == 100_000
    code = """
        import contextlib, os
        for end in range(3, 30):
            with contextlib.suppress(OSError):
                while True:
                    os.write(end, b"x" * 9999)
    """
    result = run(protection, code, "assert False")
    assert not result.passed
    assert result.error == "printed more than 1 MB"


@linux
@pytest.mark.parametrize("leave", ["", "os.setsid()", "os.setpgid(0, 0)"])
def test_a_fork_bomb_ends_and_nothing_is_left_of_it(
    protection: str, leave: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(monkeypatch, "limits.SECONDS = 3")
    code = f"""
        import contextlib, ctypes, os
        ctypes.CDLL(None).prctl(15, b"bomb{OWN}")  # the name of the process
        while True:
            with contextlib.suppress(OSError):
                os.fork()
                {leave or "pass"}
    """
    start = time.monotonic()
    result = run(protection, code)
    assert not result.passed
    assert result.error in (limits.TOO_MANY_TASKS, limits.TOO_LONG, limits.TOO_MUCH_PROCESSOR)
    assert processes_of(f"bomb{OWN}") == []
    assert time.monotonic() - start < 20


@linux
def test_a_process_that_leaves_the_group_does_not_survive(protection: str) -> None:
    code = f"""
        import os, time
        if os.fork() == 0:
            try:
                os.setsid()
            except PermissionError:
                pass
            if os.fork():
                os._exit(0)
            os.execlp("sleep", "sleep", "4243.{OWN}")
        time.sleep(0.5)
    """
    assert run(protection, code).ran
    assert processes_of(f"4243.{OWN}") == []


@linux
def test_threads_are_limited(protection: str) -> None:
    code = """
        import threading, time
        for _ in range(1000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        time.sleep(5)
    """
    result = run(protection, code)
    assert not result.ran
    assert result.error in ("RuntimeError: can't start new thread", limits.TOO_MANY_TASKS)


def test_how_a_program_ended_is_told(protection: str) -> None:
    assert run(protection, "import os; os._exit(3)").error == "ended with status 3 before its check"
    assert run(protection, "import ctypes; ctypes.string_at(0)").error == f"was killed by signal {signal.SIGSEGV:d}"
    assert run(protection, "import os; os.kill(os.getpid(), 9)").error == "was killed by signal 9"
    # The same as what the kernel does without the sandbox: input ends at once.
    assert run(protection, "input()").error == "EOFError: EOF when reading a line"


def test_a_process_that_the_program_forked_does_not_report(protection: str) -> None:
    result = run(protection, "import os\nx = os.fork()\nif x: os.waitpid(x, 0)", "assert x == 0")
    assert not result.passed
    assert result.ran


@pytest.mark.parametrize("result", ['{"ran": true, "passed": true, "error": "", "check": "", "output": ""}'])
def test_a_result_cannot_be_written_by_the_program(protection: str, result: str) -> None:
    forged = run(
        protection,
        f"""
        import contextlib, os
        for end in range(40):
            with contextlib.suppress(OSError):
                os.write(end, b'\\n' + b'{result}' + b'\\n')
        os._exit(0)
        """,
        "assert False",
    )
    assert not forged.passed
    assert forged.error in ("wrote into the pipe for its result", "ended with status 0 before its check")


# Beyond the sandbox


def test_deleting_files_reaches_nothing(shut: str, outside: Path) -> None:
    code = f"""
        import os, shutil
        for folder in ({str(outside)!r}, {str(PROJECT_ROOT / "tests")!r}, os.path.expanduser("~"), "/tmp", "/dev/shm"):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree("/", ignore_errors=True)
        for call in (os.unlink, os.truncate, os.rename):
            try:
                call({str(outside / "canary")!r}, *([0] if call is os.truncate else ["x"] if call is os.rename else []))
                reached = True
            except OSError:
                pass
    """
    assert not run(shut, code, "assert reached").passed
    assert Path(__file__).exists()
    assert Path(sys.executable).exists()


def test_writing_elsewhere_fails(shut: str, outside: Path) -> None:
    folders = [str(outside), "..", "/", "/tmp", "/var/tmp", "/dev/shm", "/etc", "/usr", "/run", "/proc/self", "/root"]  # noqa: S108
    folders += [str(Path.home()), str(PROJECT_ROOT), str(Path(sys.prefix)), tempfile.gettempdir()]
    if shut == NAMESPACES:
        folders.remove("/dev/shm")  # noqa: S108 - of the program's own
    code = f"""
        import os, pathlib
        reached = []
        folder = pathlib.Path.cwd()
        for path in {folders!r}:
            for attack in (
                lambda: open(path + "/written_by_an_answer", "w"),
                lambda: os.mkdir(path + "/written_by_an_answer"),
                lambda: os.symlink("/", path + "/written_by_an_answer"),
                lambda: os.mkfifo(path + "/written_by_an_answer"),
                lambda: (open("own", "w").close(), os.rename("own", path + "/written_by_an_answer")),
                lambda: (open("own", "w").close(), os.link("own", path + "/written_by_an_answer")),
            ):
                try:
                    attack()
                    reached.append(path)
                except OSError:
                    pass
        try:
            open({str(outside / "canary")!r}, "a").write("x")
            reached.append("canary")
        except OSError:
            pass
        print(reached)
    """
    result = run(shut, code, "assert reached")
    assert result.output == "[]\n"
    assert not result.passed
    assert not any((Path(folder) / "written_by_an_answer").exists() for folder in folders if folder.startswith("/"))


def test_modes_owners_and_times_elsewhere_cannot_be_changed(shut: str, outside: Path) -> None:
    before = (outside / "canary").stat()
    code = f"""
        import contextlib, os
        path = {str(outside / "canary")!r}
        for attack in (
            lambda: os.chmod(path, 0o777),
            lambda: os.utime(path, (1, 1)),
            lambda: os.chown(path, os.getuid(), os.getgid()),
            lambda: os.setxattr(path, "user.x", b"x"),
            lambda: os.chmod({sys.executable!r}, 0o777),
            lambda: os.fchmod(os.open({str(Path(sys.prefix) / "pyvenv.cfg")!r}, os.O_RDONLY), 0o777),
        ):
            with contextlib.suppress(OSError):
                attack()
    """
    assert run(shut, code).ran
    after = (outside / "canary").stat()
    assert (after.st_mode, after.st_mtime, after.st_uid) == (before.st_mode, before.st_mtime, before.st_uid)


def test_reading_elsewhere_fails(shut: str, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(outside))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(outside / "canary"))
    monkeypatch.setenv("SECRET", SECRET)
    paths = [str(outside / "canary"), str(PROJECT_ROOT / "pyproject.toml"), "/etc/shadow", "/etc/hostname"]
    paths += [f"/proc/{process}/{name}" for process in (os.getpid(), 1) for name in ("environ", "mem", "maps")]
    code = f"""
        import contextlib, os, subprocess
        read = []
        for path in [*{paths!r}, *(f"/proc/{{process}}/environ" for process in range(1, 70_000))]:
            with contextlib.suppress(OSError), open(path, "rb") as file:
                read.append(file.read(10_000))
        for path in {paths[:2]!r}:
            read.append(subprocess.run(["cat", path], capture_output=True).stdout)
        print({SECRET!r} in f"{{read}} {{dict(os.environ)}}", b"[project]" in b"".join(read))
        print(any({str(outside)!r} in f"{{line}}" for line in read))
        for folder in ({str(outside)!r}, {str(PROJECT_ROOT / "tests")!r}, "/var/tmp"):
            with contextlib.suppress(OSError):
                print(os.listdir(folder))
    """
    result = run(shut, code)
    assert result.output == "False False\nFalse\n", result


def test_the_environment_has_nothing_of_ours(protection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/secret")
    code = "import os\nfor name in sorted(os.environ): print(name)\nassert os.path.samefile(os.environ['HOME'], '.')"
    result = run(protection, code)
    allowed = {"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "USER", *sandbox._THREADS, *sandbox._KEPT}
    allowed |= {"MALLOC_ARENA_MAX", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "LC_CTYPE"}
    assert result.ran, result
    assert set(result.output.split()) <= allowed


@linux
def test_no_open_file_is_inherited(protection: str, outside: Path) -> None:
    with (outside / "canary").open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        code = """
            import os, stat
            kinds = []
            for end in range(200):
                try:
                    kinds.append(stat.S_IFMT(os.fstat(end).st_mode))
                except OSError:
                    pass
            print([kind == stat.S_IFIFO for kind in kinds])
        """
        # Standard input is /dev/null. Standard output, standard error and the result are pipes.
        assert run(protection, code).output == "[False, True, True, True]\n"


def test_sockets_reach_nothing(shut: str, outside: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        tempfile.TemporaryDirectory() as folder,
    ):
        Path(folder).chmod(0o777)
        udp.bind(("127.0.0.1", 0))
        unix.bind(f"{folder}/stream")
        unix.listen()
        datagrams.bind(f"{folder}/datagrams")
        for name in ("stream", "datagrams"):
            (Path(folder) / name).chmod(0o777)
        abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if LINUX else None
        if abstract:
            abstract.bind(f"\0{folder}")
        code = f"""
            import ctypes, os, socket
            reached = []
            def connect(*kind, to):
                with socket.socket(*kind) as end:
                    end.settimeout(1)
                    end.connect(to)
                    end.send(b"x")
            def pair(to):
                one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                one.sendto(b"x", to)
            def stream_pair(to):
                one, other = socket.socketpair()
                other.close()
                one.connect(to)
            for attack in (
                lambda: connect(socket.AF_INET, socket.SOCK_STREAM, to=("127.0.0.1", {tcp.getsockname()[1]})),
                lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, to=("127.0.0.1", {udp.getsockname()[1]})),
                lambda: connect(socket.AF_UNIX, to="{folder}/stream"),
                lambda: connect(socket.AF_UNIX, socket.SOCK_DGRAM, to="{folder}/datagrams"),
                lambda: connect(socket.AF_UNIX, socket.SOCK_DGRAM, to="\\0{folder}"),
                lambda: pair("{folder}/datagrams"),
                lambda: pair("\\0{folder}"),
                lambda: stream_pair("{folder}/stream"),
                lambda: connect(socket.AF_NETLINK, socket.SOCK_RAW, to=(0, 0)),
                lambda: connect(socket.AF_INET, socket.SOCK_RAW, to=("127.0.0.1", 0)),
                lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, to=("::1", {tcp.getsockname()[1]})),
            ):
                try:
                    attack()
                    reached.append(attack)
                except OSError:
                    pass
            print(len(reached))
        """
        result = run(shut, code, "assert reached")
        assert result.output == "0\n"
        assert not result.passed
        for server in filter(None, (tcp, udp, unix, datagrams, abstract)):
            server.settimeout(0)
            with pytest.raises(BlockingIOError):
                server.accept() if server in (tcp, unix) else server.recv(1)
        if abstract:
            abstract.close()


def test_other_processes_cannot_be_ended(shut: str) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as bystander:
        code = f"""
            import ctypes, os, signal, threading
            reached = []
            parent = os.getppid()
            for process in ({os.getpid()}, {bystander.pid}, parent):
                for attack in (
                    lambda: os.kill(process, 9),
                    lambda: os.killpg(os.getpgid(process), 9),
                    lambda: signal.pidfd_send_signal(os.pidfd_open(process), 9),
                ):
                    # A process namespace has a first process of its own, which nothing in it can end.
                    try:
                        if process > 1 and (process != parent or parent != os.getpid()):
                            attack()
                            reached.append(process)
                    except OSError:
                        pass
            import resource
            for process in ({os.getpid()}, {bystander.pid}, os.getppid()):
                for attack in (
                    lambda: resource.prlimit(process, resource.RLIMIT_CPU, (0, 0)),
                    lambda: os.sched_setaffinity(process, [0]),
                    lambda: os.setpriority(os.PRIO_PROCESS, process, 19),
                ):
                    try:
                        if process > 1:
                            attack()
                            reached.append(process)
                    except OSError:
                        pass
            try:
                os.kill(-1, 9)
            except OSError:
                pass
            print(reached)
        """
        result = run(shut, code, "assert reached")
        assert result.output == "[]\n"
        assert not result.passed
        assert bystander.poll() is None
        assert os.getpriority(os.PRIO_PROCESS, bystander.pid) < 19
        bystander.kill()


@linux
def test_other_processes_cannot_be_read(shut: str) -> None:
    code = f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        attach, seize = 16, 0x4206
        reached = [request for request in (attach, seize) if libc.ptrace(request, {os.getpid()}, 0, 0) == 0]
        place = ctypes.create_string_buffer(8)
        vector = (ctypes.c_size_t * 2)(ctypes.addressof(place), 8)
        reached += [n for n in (1,) if libc.process_vm_readv({os.getpid()}, vector, 1, vector, 1, 0) > 0]
        print(reached)
    """
    result = run(shut, code, "assert reached")
    assert result.output == "[]\n"
    assert not result.passed


@linux
def test_the_kernel_refuses_what_widens_its_rights(shut: str) -> None:
    code = """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        reached = []
        for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x10020000):
            if libc.unshare(flag) == 0:
                reached.append(flag)
        def child(_): return 0
        for number in ({"x86_64": 56, "aarch64": 220}[os.uname().machine],):
            process = libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0)
            if process == 0:
                os._exit(0)
            if process > 0:
                reached.append("clone")
        if libc.mount(b"none", b".", b"tmpfs", 0, None) == 0:
            reached.append("mount")
        if libc.prctl(38, 0, 0, 0, 0) == 0 or libc.prctl(39, 0, 0, 0, 0) != 1:
            reached.append("new privileges")
        calls = [lambda: os.setuid(0), lambda: os.chroot("."), lambda: os.setgroups([0])]
        for call in (*calls, lambda: os.memfd_create("x")):
            try:
                call()
                reached.append(call)
            except OSError:
                pass
        for number in (425, 435, 437, 500):
            if libc.syscall(number, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 38:
                reached.append(number)
        print(reached, os.getuid() == 0)
    """
    result = run(shut, code, "assert reached")
    assert result.output == "[] False\n", result
    assert not result.passed


@linux
def test_capabilities_are_dropped() -> None:
    skip_without(NAMESPACES)
    code = """
        wanted = ("Cap", "NoNew", "Seccomp:")
        print([line.split()[1] for line in open("/proc/self/status") if line.startswith(wanted)])
    """
    none = "0000000000000000"
    result = run(NAMESPACES, code)
    assert result.output.startswith(f"['{none}', '{none}', '{none}', '"), result
    assert result.output.endswith("', '1', '2']\n")


@linux
def test_setuid_programs_have_no_rights(protection: str) -> None:
    code = """
        import shutil, subprocess
        su = shutil.which("su") or shutil.which("mount")
        done = subprocess.run([su, "root", "-c", "id"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    """
    assert not run(protection, code, "assert 'uid=0' in done.stdout").passed


# Landlock's older versions, whose gaps the filter of system calls closes


@pytest.mark.parametrize("abi", [1, 2, 3, 4, 5])
def test_older_landlock(abi: int, outside: Path) -> None:
    skip_without(LANDLOCK)
    own = outside / "canary"
    code = f"""
        import os, subprocess, sys
        reached = []
        readable = {str(Path(sys.prefix) / "pyvenv.cfg")!r}
        for path in (readable, {str(own)!r}):
            for attack in (
                lambda: os.truncate(path, 0),
                lambda: os.open(path, os.O_RDONLY | os.O_TRUNC),
                lambda: open(path, "w"),
                lambda: os.kill(os.getppid(), 0),
                lambda: os.kill({os.getpid()}, 0),
                lambda: os.kill(-1, 0),
            ):
                try:
                    attack()
                    reached.append(path)
                except OSError:
                    pass
        import fcntl, signal
        one, other = os.pipe()
        for command, value in ((fcntl.F_SETOWN, {os.getpid()}), (10, 9)):
            try:
                fcntl.fcntl(one, command, value)
                reached.append(command)
            except OSError:
                pass
        open("own", "w").write("some text")
        open("own", "w").write("text")
        with open("own", "r+") as file:
            file.truncate(2)
        subprocess.run([sys.executable, "-c", "print(1)"], check=True)
        os.kill(os.getpid(), 0)
        print(reached, open("own").read())
    """
    before = (Path(sys.prefix) / "pyvenv.cfg").read_bytes()
    result = run_with_landlock(abi, code, "assert reached")
    assert result.output == "[] te\n", result
    assert not result.passed
    assert (Path(sys.prefix) / "pyvenv.cfg").read_bytes() == before


HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h")


@pytest.mark.parametrize("place", [0, 1])
def test_the_numbers_of_system_calls_are_the_kernels(place: int) -> None:
    header = Path(HEADERS[place])
    if not header.exists():
        pytest.skip(f"no {header}")
    found = re.findall(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)\s", header.read_text())
    numbers = {name: int(number) for name, number in reversed(found)}
    numbers.setdefault("fchmodat2", 452)  # newer than some headers
    for table in seccomp.TABLES:
        for name, pair in table.items():
            assert numbers.get(name, -1) == pair[place], name


# Harmless programs

HARMLESS = {
    "pandas": """
        import pandas as pd
        table = pd.DataFrame({"name": ["a", "b", "a"], "n": [1, 2, 3]})
        table.to_csv("table.csv", index=False)
        assert pd.read_csv("table.csv").groupby("name")["n"].sum().to_dict() == {"a": 4, "b": 2}
    """,
    "numpy": """
        import numpy as np
        a = np.random.default_rng(0).random((300, 300))
        assert np.allclose(np.linalg.inv(a) @ a, np.eye(300))
    """,
    "csv and pathlib": """
        import csv, os, shutil
        from pathlib import Path
        Path("folder/deeper").mkdir(parents=True)
        with open("folder/table.csv", "w", newline="") as file:
            csv.writer(file).writerows([["a", "b"], [1, 2]])
        shutil.copy2("folder/table.csv", "folder/deeper/copy.csv")
        assert list(csv.DictReader(open("folder/deeper/copy.csv"))) == [{"a": "1", "b": "2"}]
        assert sorted(path.name for path in Path(".").rglob("*.csv")) == ["copy.csv", "table.csv"]
        assert os.listdir(".") == ["folder"]
        Path("folder/table.csv").rename("moved.csv")
        Path("folder/table.csv").touch()
        Path("moved.csv").touch()
        shutil.move("moved.csv", "folder/deeper/moved.csv")
        os.symlink("folder", "link")
        assert Path("link/deeper").is_dir()
        Path("moved.csv").unlink(missing_ok=True)
        os.remove("link")
        shutil.rmtree("folder")
        assert os.listdir(".") == []
    """,
    "sqlite3": """
        import sqlite3
        with sqlite3.connect("file.db") as database:
            database.execute("create table t (a, b)")
            database.executemany("insert into t values (?, ?)", [(1, 2), (3, 4)])
        assert sqlite3.connect("file.db").execute("select sum(b) from t").fetchone() == (6,)
    """,
    "subprocess": """
        import subprocess, sys
        command = [sys.executable, "-c", "import json; print(json.dumps([1]))"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stdout == "[1]\\n", done
        assert subprocess.run("echo one | tr o 0", shell=True, capture_output=True).stdout == b"0ne\\n"
        assert subprocess.run(["false"]).returncode == 1
        try:
            subprocess.run(["sleep", "3"], timeout=0.2)
        except subprocess.TimeoutExpired:
            ended = True
        assert ended
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.communicate(b"text") == (b"text", None)
    """,
    "threads": """
        import queue, threading
        from concurrent.futures import ThreadPoolExecutor
        from multiprocessing.pool import ThreadPool
        lock, total = threading.Lock(), 0
        def add(n):
            global total
            with lock:
                total += n
        threads = [threading.Thread(target=add, args=(n,)) for n in range(20)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert total == 190
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(str, range(9))) == list("012345678")
        with ThreadPool(4) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
    """,
    "multiprocessing": """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        def square(n):
            return n * n
        def put(queue, lock, value):
            with lock:
                value.value += 1
            queue.put("done")
        if __name__ == "__main__":
            with multiprocessing.Pool(2) as pool:
                assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
            with ProcessPoolExecutor(2) as pool:
                assert list(pool.map(square, range(5))) == [0, 1, 4, 9, 16]
            queue, lock, value = multiprocessing.Queue(), multiprocessing.Lock(), multiprocessing.Value("i", 0)
            workers = [multiprocessing.Process(target=put, args=(queue, lock, value)) for _ in range(3)]
            [worker.start() for worker in workers]
            [worker.join() for worker in workers]
            assert value.value == 3 and [queue.get(timeout=5) for _ in range(3)] == ["done"] * 3
            event = multiprocessing.Event()
            worker = multiprocessing.Process(target=event.set)
            worker.start()
            assert event.wait(5)
            worker.join()
    """,
    "semaphores": """
        import multiprocessing, threading
        lock = multiprocessing.RLock()
        with lock, lock:
            assert not multiprocessing.Process(target=lock.acquire, args=(False,)).start()
        semaphore = multiprocessing.BoundedSemaphore(2)
        assert semaphore.acquire() and semaphore.acquire() and not semaphore.acquire(timeout=0.05)
        semaphore.release()
        semaphore.release()
        assert semaphore.get_value() == 2
        try:
            semaphore.release()
        except ValueError:
            bounded = True
        assert bounded
        lock = multiprocessing.Lock()
        lock.acquire()
        threading.Timer(0.1, lock.release).start()
        assert lock.acquire(timeout=5)
        condition, barrier = multiprocessing.Condition(), multiprocessing.Barrier(2)
        threading.Thread(target=barrier.wait).start()
        barrier.wait(5)
    """,
    "asyncio": """
        import asyncio, sys
        async def main():
            command = [sys.executable, "-c", "print(3)"]
            child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            return await asyncio.gather(asyncio.sleep(0.01, 1), asyncio.to_thread(abs, -2), child.communicate())
        assert asyncio.run(main()) == [1, 2, (b"3\\n", None)]
    """,
    "tempfile": """
        import os, tempfile
        with tempfile.NamedTemporaryFile("w") as file, tempfile.TemporaryDirectory() as folder:
            file.write("text")
            file.flush()
            assert open(file.name).read() == "text" and os.listdir(folder) == []
            assert tempfile.gettempdir() == os.getcwd() == os.path.expanduser("~")
    """,
    "logging, argparse, locale": """
        import argparse, getpass, locale, logging, sys
        logging.basicConfig(filename="log.txt", level=logging.INFO)
        logging.info("text")
        assert "INFO:root:text" in open("log.txt").read()
        parser = argparse.ArgumentParser()
        parser.add_argument("--n", type=int, default=3)
        assert parser.parse_args().n == 3
        locale.setlocale(locale.LC_ALL, "")
        assert locale.getpreferredencoding() == "UTF-8" and sys.getfilesystemencoding() == "utf-8"
        assert getpass.getuser() == "nobody"
    """,
    "time zones": """
        import datetime, time, zoneinfo
        when = datetime.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
        assert when.utcoffset() == datetime.timedelta(hours=2)
        assert time.localtime(0).tm_hour == 0
    """,
    "pickle and dataclasses": """
        from __future__ import annotations
        import dataclasses, pickle, typing
        @dataclasses.dataclass
        class Point:
            x: int
            y: typing.ClassVar[int] = 2
        assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
        assert typing.get_type_hints(Point)["x"] is int
    """,
    "modes of files": """
        import os, stat
        with open("script.sh", "w") as file:
            file.write("#!/bin/sh\\necho ran\\n")
        os.chmod("script.sh", 0o755)
        os.utime("script.sh")
        os.umask(0o22)
    """,
    "signals": """
        import os, signal, time
        heard = []
        signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        time.sleep(0.2)
        signal.signal(signal.SIGUSR1, lambda *_: heard.append(2))
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        assert heard == [1, 2, 2]
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            heard.append(3)
        assert heard[-1] == 3
    """,
    "compression and hashes": """
        import gzip, hashlib, tarfile, zipfile
        open("a.txt", "w").write("text")
        with zipfile.ZipFile("a.zip", "w") as archive:
            archive.write("a.txt")
        with tarfile.open("a.tar.gz", "w:gz") as archive:
            archive.add("a.txt")
        with tarfile.open("a.tar.gz") as archive:
            archive.extractall("out", filter="data")
        assert open("out/a.txt").read() == "text" and zipfile.ZipFile("a.zip").read("a.txt") == b"text"
        assert len(hashlib.scrypt(b"x", salt=b"y", n=2, r=8, p=1)) == 64
    """,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_programs_run(protection: str, name: str) -> None:
    result = run(protection, HARMLESS[name])
    assert result.ran, result.error
    assert result.passed


@pytest.mark.parametrize("name", [name for name in HARMLESS if name not in ("pandas", "numpy")])
def test_harmless_programs_run_with_the_oldest_landlock(name: str) -> None:
    skip_without(LANDLOCK)
    result = run_with_landlock(1, HARMLESS[name])
    if name in ("multiprocessing", "subprocess"):
        # These end processes that they have started. The oldest Landlock does not tell these from others.
        assert result.ran or "Operation not permitted" in result.error
    elif name == "csv and pathlib":
        assert "Invalid cross-device link" in result.error  # a file cannot move to another folder
    else:
        assert result.ran, result.error


def test_the_reference_answers_pass_as_they_do_without_a_sandbox(protection: str) -> None:
    code = "import functools\ndef total(numbers):\n    return functools.reduce(lambda a, b: a + b, numbers)\n"
    check = "assert found(6, ([1, 2, 3],)) and functions()['total']([4]) == 4"
    assert run(protection, code, check).passed
    assert running.run(running.Program("total", "", code, check))["passed"]


def test_each_protection_gives_the_same_results() -> None:
    """What a program can see of its surroundings is alike."""
    code = "import os, sys, __main__\nprint(os.listdir('.'), sys.argv, sys.flags.hash_randomization, __main__.os is os)"
    levels = [name for name in limits.PROTECTIONS if name == LIMITS or not sandbox.why_not(name)]
    assert len({run(level, code) for level in levels}) == 1


# When the other side goes away


@linux
def test_a_program_ends_with_the_process_that_asked_for_it(protection: str, tmp_path: Path) -> None:
    code = """
        from tuning.answers import sandbox
        program = "import subprocess; subprocess.run(['sleep', '4244.{}'])"
        sandbox.run([sandbox.Program("", program, "")], protection={!r}, workers=1)
    """
    command = [sys.executable, "-c", textwrap.dedent(code).format(OWN, protection)]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}) as asking:
        until = time.monotonic() + 10
        while not processes_of(f"4244.{OWN}") and time.monotonic() < until:
            time.sleep(0.05)
        assert processes_of(f"4244.{OWN}")
        asking.kill()
    until = time.monotonic() + 5
    while processes_of(f"4244.{OWN}") and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_of(f"4244.{OWN}") == []


def test_several_runs_at_once(shut: str) -> None:
    threads = []
    results: list[sandbox.Result] = []
    for _ in range(3):
        threads.append(
            threading.Thread(
                target=lambda: results.append(run(shut, "import os; x = os.fork()\nif x == 0: os._exit(0)"))
            )
        )
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert [result.ran for result in results] == [True] * 3


# Root is not the only one who starts programs

UNPRIVILEGED = """
import os, sys
from pathlib import Path
from tuning.answers.sandbox import folders, kernel

mounts, root, module = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
needed = [*folders.needed(), root]
closed = sorted({parent for path in needed for parent in path.parents if not parent.stat().st_mode & 1})
if closed:
    # Python is in a folder such as /root. Only what Python needs is in this process's own view of it.
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)
for folder in closed:
    inside = [path for path in needed if path.is_relative_to(folder)]
    for number, path in enumerate(inside):
        (mounts / str(number)).mkdir(parents=True)
        kernel.mount(str(path), mounts / str(number), flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("tmpfs", folder, "tmpfs", options="mode=755")
    for number, path in enumerate(inside):
        path.mkdir(parents=True, exist_ok=True)
        kernel.mount(str(mounts / str(number)), path, flags=kernel.MS_BIND | kernel.MS_REC)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print("unprivileged", flush=True)
# That the limit is ten seconds does not depend on the user; that a limit ends a program is tested here too.
command = ["-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "-k", "not ten_seconds", module]
os.execv(sys.executable, [sys.executable, *command])
"""


@pytest.mark.slow
@pytest.mark.skipif(not LINUX or os.getuid() != 0, reason="root runs these tests as another user, too")
def test_all_of_this_as_an_unprivileged_user(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "mounts"), str(PROJECT_ROOT), str(Path(__file__))]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "USER": "nobody", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unprivileged" not in done.stdout:
        pytest.skip(f"no other user can run Python here: {done.stderr.strip().splitlines()[-1]}")
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)
