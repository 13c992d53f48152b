"""Run the work on a dataset as Ray tasks: on a cluster, or with Ray started on this machine.

A task is a call of the same function as in a local worker process. Rows go to the nodes and keys come back through Ray;
parts, and the files that options name, go through the store. If a node is lost, Ray runs its tasks again on another
one. A task writes the same bytes each time, so it does no harm that a lost node still runs.
"""

import contextlib
import functools
import hashlib
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import msgspec
import pyarrow as pa

import tuning
from tuning.dataset.options import DatasetOptions
from tuning.dataset.versions import versions
from tuning.dataset.workspace.parallel import In, Out, Pending, Workers, in_order
from tuning.dataset.workspace.store import Store, stream_of
from tuning.errors import TuningError
from tuning.machine import usable_cores

Value = TypeVar("Value")

_ANSWERS = 10  # seconds in which a cluster must answer; Ray itself waits for minutes
_OBJECTS = 256 << 20  # bytes of shared memory for rows and keys, when Ray is started here; more goes to the disk
# Ray's sockets are in its folder, and the path of a socket has 107 bytes at most, so a home can be too deep for it.
_SHORT = "/tmp"  # noqa: S108 - mkdtemp makes a folder of this user with a random name
_NOT_CODE = ("tasks.py", "dbt_project")  # what an installed package has beside the code of a checkout


class _Setup(msgspec.Struct, frozen=True):
    """Hold what each task needs. `inputs` is the file in `store` with the files that options name."""

    store: Store
    inputs: str
    versions: tuple[tuple[str, str], ...]  # of the code and the libraries that decide the bytes
    folder: str | None  # of Ray's files, if it was started for this work; they go with it


class _Input(msgspec.Struct, frozen=True):
    """Represent a file or folder that an option names, with the content of its files by path in it ("": itself)."""

    path: str
    files: dict[str, bytes]


class RayWorkers(Workers):
    """Run functions as Ray tasks, at most `count` at a time (None: as many as the cluster has cores).

    What `map_in_threads` does stays in this process.
    """

    def __init__(self, count: int | None, address: str, store: Store, options: DatasetOptions) -> None:
        super().__init__(count or usable_cores())
        self._asked, self._address, self._store, self._options = count, address, store, options
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start Ray or connect to the cluster. Raises TuningError if that fails."""
        with contextlib.ExitStack() as started:
            cluster = _cluster(self._address) if self._address else _own_cluster(self._count)
            folder = started.enter_context(cluster)
            import ray

            if self._address:
                self._count = self._asked or int(ray.cluster_resources().get("CPU", 0))
                if not self._count:
                    raise TuningError("the Ray cluster has no CPU", "Add nodes, or say by --workers how many will come")
            self.ahead = self._count + 2
            self._setup = _prepared(self._store, self._options, folder)
            if self._address:  # else they go with the folder of Ray's files
                started.callback(_remove_copies, self._setup.inputs)
            self._task = ray.remote(_run)
            self._running = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.close()

    def map(self, function: Callable[[In], Out], inputs: Iterable[In], is_long: bool = True) -> Iterator[Out]:
        """Yield ``function(input)`` in order. Raises TuningError if the cluster cannot do the work."""
        del is_long  # who asks for Ray gets it
        yield from in_order(functools.partial(self._submit, function), inputs, self.ahead)

    def lend(self, store: Store, number: int, rows: pa.RecordBatch) -> bytes:
        """Return the rows as bytes, which Ray sends to the node.

        A file that is used again, as local workers read it, would be wrong: a lost node can still read it.
        """
        del store, number
        return stream_of(rows)

    def _submit(self, function: Callable[[In], Out], item: In) -> Pending[Out]:
        return _Task(self._task.options(name=function.__name__).remote(function, item, self._setup))


class _Task(msgspec.Struct, frozen=True):
    """Represent a task of Ray."""

    reference: Any

    def result(self) -> Any:
        """Return the task's result. Raises what the task has raised, and TuningError if Ray could not run it."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            return ray.get(self.reference)
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            if not isinstance(cause, RayError) and "failed to import on the worker" not in str(cause):
                raise cause from error
            raise TuningError(
                f"the Ray cluster could not do a part of the work ({_first_line(cause)})",
                "Each node needs this project and its libraries. Run the command again: it goes on from here",
            ) from error

    def cancel(self) -> None:
        """Do nothing: the tasks end when this process leaves the cluster, which it does next."""


def check_address(address: str) -> None:
    """Raise TuningError if no Ray cluster answers at ``HOST:PORT`` or "auto", within some seconds."""
    with _environment():
        from ray._private.services import canonicalize_bootstrap_address

        try:
            found = canonicalize_bootstrap_address(address)
        except (ConnectionError, OSError, ValueError) as error:
            raise _unreachable(address, error) from None
    if os.environ.get("RAY_USE_TLS") == "1":  # this check has no certificates
        return
    with grpc.insecure_channel(found) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_ANSWERS)
        except grpc.FutureTimeoutError:
            raise _unreachable(address, f"{found} does not answer as Ray within {_ANSWERS} seconds") from None


def _unreachable(address: str, problem: object) -> TuningError:
    return TuningError(
        f"there is no Ray cluster at --address {address} ({_first_line(problem)})",
        "Run this on a machine of the cluster, with the address of its head node, or leave out --address",
    )


def _first_line(problem: object) -> str:
    return next((line for line in str(problem).splitlines() if line.strip()), "no reason given")


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Connect to a cluster during the block. Raises TuningError if that fails."""
    check_address(address)
    with _environment(), _ray(lambda error: _unreachable(address, error), address=address):
        yield


@contextlib.contextmanager
def _own_cluster(count: int) -> Iterator[str]:
    """Run Ray on this machine during the block, for this process only. Yield the folder of its files.

    It listens on loopback, and a random token keeps other users of the machine out. Raises TuningError if it fails.
    """
    access = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": _token(),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # means on each system: listen on loopback
    }
    with (
        tempfile.TemporaryDirectory(prefix="ray-", dir=_SHORT, ignore_cleanup_errors=True) as folder,
        _environment(**access),
        _ray(
            lambda error: TuningError(f"Ray does not start on this machine ({_first_line(error)})"),
            address="local",
            num_cpus=count,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=_OBJECTS,
            _temp_dir=folder,
        ),
    ):
        yield folder


@contextlib.contextmanager
def _ray(problem: Callable[[Exception], TuningError], **options: Any) -> Iterator[None]:
    """Use Ray during the block. `problem` returns what is raised if it does not begin.

    SIGTERM ends the block well, because Ray turns it into SystemExit; afterwards it means what it meant before.
    """
    import ray

    before = signal.getsignal(signal.SIGTERM)
    try:
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise problem(error) from None
        yield
    finally:
        ray.shutdown(wait_for_processes=True)
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


@functools.cache
def _token() -> str:
    return secrets.token_hex(32)  # one for all clusters of this process, because Ray reads it once


@contextlib.contextmanager
def _environment(**more: str) -> Iterator[None]:
    """Set Ray's variables during the block: it sends no statistics, and gives up soon."""
    ours = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_gcs_server_request_timeout_seconds": str(_ANSWERS),
        **more,
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _prepared(store: Store, options: DatasetOptions, folder: str | None) -> _Setup:
    """Write the files that options name to the store, for nodes that do not have them."""
    inputs = [
        _Input(str(path), {"" if file == path else str(file.relative_to(path)): file.read_bytes() for file in files})
        for path, files in options.files().values()
    ]
    setup = _Setup(store, f"inputs-{uuid.uuid4().hex}", _versions(bool(options.tokenizer)), folder)
    store.write(setup.inputs, msgspec.msgpack.encode(inputs))
    return setup


def _run(function: Callable[[In], Out], item: In, setup: _Setup) -> Out:
    """Call the function on a node. `item` is changed so that its paths are those of the files on the node."""
    return function(_moved(item, _files_of(setup)[1]))


@functools.lru_cache(maxsize=1)
def _files_of(setup: _Setup) -> tuple[tempfile.TemporaryDirectory[str] | None, Mapping[Path, Path]]:
    """Write the files that options name to a folder of this process. Return it, and the paths there by the given ones.

    The name of the folder begins with that of the store's file, by which `_remove_copies` finds it.

    Raises TuningError if this node has other versions or another store than the machine that gives the work.
    """
    node = f"the Ray node {os.uname().nodename}"
    here = dict(_versions("tokenizers" in dict(setup.versions)))
    if others := [f"{name} {here.get(name)} for {value}" for name, value in setup.versions if here.get(name) != value]:
        raise TuningError(f"{node} has other versions: {', '.join(others)}", "Install there what is installed here")
    content = setup.store.read(setup.inputs)
    if content is None:
        raise TuningError(
            f"{node} does not see the files of this home",
            "Without a bucket, all nodes need the home as a shared folder, at the same path",
        )
    moved = {}
    inputs = msgspec.msgpack.decode(content, type=list[_Input])
    if not inputs:
        return None, {}
    folder = tempfile.TemporaryDirectory(prefix=f"{setup.inputs}-", dir=setup.folder)
    for number, one in enumerate(inputs):
        known = Path(one.path)
        moved[known] = Path(folder.name, str(number), known.name if "" in one.files else "folder")
        for name, file in one.files.items():
            path = moved[known] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file)
    return folder, moved


def _remove_copies(inputs: str) -> None:
    """Delete what `_files_of` has written, on each node: Ray kills its processes, which therefore do not do so."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(_remove_copies_here)
    nodes = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes() if node["Alive"]]
    tasks = [task.options(num_cpus=0, scheduling_strategy=node).remote(inputs) for node in nodes]
    ray.wait(tasks, num_returns=len(tasks), timeout=_ANSWERS)  # a node that was just lost does not answer


def _remove_copies_here(inputs: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{inputs}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _moved(value: Value, paths: Mapping[Path, Path]) -> Value:
    """Return the value with other paths in it, also in the structs that it has."""
    if isinstance(value, Path):
        return paths.get(value, value)  # type: ignore[return-value]  # both are paths
    if not isinstance(value, msgspec.Struct):
        return value
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    changed = {name: new for name, old in fields.items() if (new := _moved(old, paths)) is not old}
    return msgspec.structs.replace(value, **changed) if changed else value


@functools.cache
def _versions(with_tokenizer: bool) -> tuple[tuple[str, str], ...]:
    """Return the versions of the libraries that decide the bytes, and a hash of this package's code."""
    root = Path(tuning.__file__).parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if inside.parts[0] not in _NOT_CODE:
            total.update(f"{inside.as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    libraries = {**versions(with_tokenizer=with_tokenizer), "python-qa-tuning": total.hexdigest()[:12]}
    return tuple(libraries.items())
