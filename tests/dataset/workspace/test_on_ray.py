"""Ray gives the bytes of the local engine, also when a node is lost, and every problem is one line."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.dataset.folders import fingerprint
from tests.marts import row, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.decisions import rejected
from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.dataset.rows import pass_one
from tuning.dataset.workspace import on_ray
from tuning.dataset.workspace.engine import HERE, Engine, choose_engine
from tuning.dataset.workspace.store import FolderStore
from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, Settings
from tuning.storage import split_uri

PARTS, ROWS = 16, 200
CREATE = (
    "import sys; from pathlib import Path; from tuning.dataset.create import create_dataset;"
    "from tuning.dataset.options import DatasetOptions; from tuning.dataset.snapshot.snapshot import open_snapshot;"
    "from tuning.dataset.workspace.engine import Engine; from tuning.settings import Settings;"
    "create_dataset(Settings(home=Path(sys.argv[2])), open_snapshot(Path(sys.argv[1])), DatasetOptions(), 2,"
    " Engine('ray'))"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of three nodes with one core each; the first is the head."""
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder,
    ):
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_TMPDIR", folder)
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
        nodes = Cluster(initialize_head=True, head_node_args=node)
        try:
            for _ in range(2):
                nodes.add_node(**node)
            yield nodes
        finally:
            nodes.shutdown()


def with_decisions(folder: Path) -> DatasetOptions:
    """Options that name a file."""
    decisions = folder / "decisions.jsonl"
    decisions.write_text('{"example_id": "1-2", "decision": "reject"}\n')
    return resolve_options(decisions=str(decisions))


def wait_for(condition: Callable[[], Any], seconds: int = 180) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def kill_while_it_works(nodes: list[Any], keys: Callable[[], int]) -> None:
    """Kill one of the nodes while it prepares a part, when a third of the parts are there."""
    wait_for(lambda: keys() >= PARTS // 3)
    raylets = [psutil.Process(node.all_processes["raylet"][0].process.pid) for node in nodes]

    def at_work() -> psutil.Process | None:
        for raylet in raylets:
            if any(child.cmdline()[:1] == ["ray::prepare"] for child in raylet.children()):
                return raylet
        return None

    raylet = wait_for(at_work)
    killed = [raylet, *raylet.children(recursive=True)]
    for process in killed:
        process.kill()
    assert keys() < PARTS


@pytest.mark.slow
def test_three_nodes_of_which_one_is_killed_give_the_bytes_of_a_local_run(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_one, "_ROWS_PER_PART", ROWS)
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(PARTS * ROWS)], files=2)
    options = with_decisions(tmp_path)
    local = create_dataset(Settings(home=tmp_path / "local"), snapshot, options, 1)
    home = tmp_path / "home"
    killer = threading.Thread(
        target=kill_while_it_works,
        args=(sorted(cluster.worker_nodes, key=id), lambda: len(list(home.glob("datasets/.*.parts/*/*.keys")))),
    )
    problems = []
    monkeypatch.setattr(threading, "excepthook", problems.append)
    killer.start()
    made = create_dataset(Settings(home=home), snapshot, options, engine=Engine("ray", cluster.address))
    killer.join()
    assert problems == []
    assert made.id == local.id
    assert fingerprint(made.folder) == fingerprint(local.folder)
    assert list(home.glob("datasets/.*.parts")) == []
    assert copies() == []


def copies() -> list[Path]:
    """What the nodes, which are all on this machine, have written of the files that options name."""
    return list(Path(tempfile.gettempdir()).glob("inputs-*"))


@pytest.mark.slow
def test_a_job_that_raises_gives_the_error_of_the_local_engine(cluster: Any, tmp_path: Path) -> None:
    messages, options = [], with_decisions(tmp_path)
    for engine in (HERE, Engine("ray", cluster.address)):
        with engine.workers(2, FolderStore(tmp_path), options) as workers:
            with pytest.raises(TuningError) as problem:
                list(workers.map(split_uri, ["gs://bucket/name", "no address"]))
            with pytest.raises(ZeroDivisionError):
                list(workers.map((7).__floordiv__, [0]))
            assert bool(copies()) == (engine != HERE)
        assert copies() == []
        messages.append(str(problem.value))
    assert messages[0] == messages[1] == "'no address' is not an address of the form gs://BUCKET/NAME."


@pytest.mark.hard
def test_a_process_that_dies_again_and_again_is_one_line(cluster: Any, tmp_path: Path) -> None:
    with (
        Engine("ray", cluster.address).workers(1, FolderStore(tmp_path), DatasetOptions()) as workers,
        pytest.raises(TuningError, match="could not do a part of the work") as problem,
    ):
        list(workers.map(os._exit, [3]))
    assert "\n" not in str(problem.value)


@pytest.mark.slow
def test_ctrl_c_ends_ray_which_listened_on_loopback_only(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(20 * 1024)])
    with started(snapshot.folder, tmp_path / "home") as process:
        children = psutil.Process(process.pid).children(recursive=True)
        listening = [
            connection.laddr.ip.removeprefix("::ffff:")
            for one in (psutil.Process(process.pid), *children)
            for connection in one.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {"127.0.0.1"}
        assert len(listening) > 3
        folders = {word.partition("/session_")[0] for one in children for word in one.cmdline() if "/session_" in word}
        folder = next(Path(name.rpartition("=")[2]) for name in folders)
        assert folder.exists()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"
        assert psutil.wait_procs(children, timeout=60)[1] == []
        assert not folder.exists()


@pytest.mark.hard
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_command_ends_ray(number: int, tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(20 * 1024)])
    with started(snapshot.folder, tmp_path / "home") as process:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.communicate(timeout=120)
        assert psutil.wait_procs(children, timeout=180)[1] == []  # after SIGKILL, two of them first wait for the others


@pytest.mark.hard
def test_ray_that_is_started_here_gives_the_bytes_of_a_local_run(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(3_000)])
    local = create_dataset(Settings(home=tmp_path / "local"), snapshot, DatasetOptions(), 1)
    program = [sys.executable, "-c", CREATE, str(snapshot.folder), str(tmp_path / "home")]
    done = subprocess.run(program, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fingerprint(tmp_path / "home" / "datasets" / local.id) == fingerprint(local.folder)


@contextlib.contextmanager
def started(snapshot: Path, home: Path) -> "Iterator[subprocess.Popen[str]]":
    """A process, in a group of its own, that makes a dataset with Ray. The block begins when it has prepared a part."""
    process = subprocess.Popen(
        [sys.executable, "-c", CREATE, str(snapshot), str(home)],
        cwd=PROJECT_ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: process.poll() is not None or list(home.glob("datasets/.*.parts/*/*.keys")))
        assert process.poll() is None
        yield process
    finally:
        process.terminate()
        process.wait()


def test_what_options_name_reaches_a_node_that_does_not_have_it(tmp_path: Path) -> None:
    benchmark, decisions = tmp_path / "exam", tmp_path / "decisions.jsonl"
    (benchmark / "part").mkdir(parents=True)
    (benchmark / "part" / "one.txt").write_text("a question of an exam that has more than five words in it\n")
    decisions.write_text('{"example_id": "7-8", "decision": "reject"}\n')
    options = resolve_options(decontaminate=str(benchmark), decisions=str(decisions))
    setup = on_ray._prepared(FolderStore(tmp_path / "store"), options, None)
    hidden = tmp_path / "elsewhere"
    hidden.mkdir()
    for path in (benchmark, decisions):
        path.rename(hidden / path.name)
    job = Job(options=options, numbers=[1, 2])
    try:
        found = on_ray._run(lambda item: item, job, setup)
        assert found.numbers is job.numbers
        assert found.options.decisions
        assert rejected(found.options.decisions) == {"7-8"}
        assert found.options.decisions.name == decisions.name
        assert found.options.decontaminate
        assert (found.options.decontaminate / "part" / "one.txt").read_text().startswith("a question of an exam")
    finally:
        on_ray._files_of.cache_clear()


class Job(msgspec.Struct):
    options: DatasetOptions
    numbers: list[int]


def test_a_node_without_the_home_or_with_other_versions_is_one_line(tmp_path: Path) -> None:
    setup = on_ray._prepared(FolderStore(tmp_path), DatasetOptions(), None)
    assert on_ray._run(len, "four", setup) == 4
    elsewhere = msgspec.structs.replace(setup, store=FolderStore(tmp_path / "other"))
    with pytest.raises(TuningError, match=r"does not see the files of this home.*shared folder"):
        on_ray._run(len, "four", elsewhere)
    older = {**dict(setup.versions), "lxml": "1.0"}
    with pytest.raises(TuningError, match=r"has other versions: lxml [\d.]+ for 1\.0\. "):
        on_ray._run(len, "four", msgspec.structs.replace(setup, versions=tuple(older.items())))


def test_without_the_extra_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(TuningError, match=r"needs the package ray\. Install it: pip install '\.\[ray\]'$"):
        choose_engine("ray", None)
    assert choose_engine("local", None) == choose_engine(None, None) == HERE


def test_options_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(TuningError, match="Add --engine ray"):
        choose_engine("local", "auto")
    with pytest.raises(TuningError, match="Leave out --engine"):
        choose_engine("ray", None, "seed")


@pytest.mark.parametrize("what", ["closed port", "another server", "auto"])
def test_without_a_cluster_one_line_comes_within_seconds(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(on_ray, "_ANSWERS", 1)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", set)  # "auto" finds clusters of other tests too
    with socket.create_server(("", 0)) as server:
        address = "auto" if what == "auto" else f"127.0.0.1:{server.getsockname()[1]}"
        if what == "closed port":
            server.close()
        before = time.monotonic()
        with pytest.raises(TuningError, match=f"there is no Ray cluster at --address {address} ") as problem:
            choose_engine("ray", address)
    assert time.monotonic() - before < 30
    assert "\n" not in str(problem.value)


@pytest.mark.slow
def test_the_command_refuses_a_wrong_address_before_it_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "invoke", "dataset", "--engine", "ray", "--address", "127.0.0.1:9"]
    environment = {**os.environ, "TUNING_HOME": str(tmp_path / "home"), "RAY_AUTH_TOKEN": secrets.token_hex(8)}
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "there is no Ray cluster at --address 127.0.0.1:9 (" in line
    assert done.stdout == ""
