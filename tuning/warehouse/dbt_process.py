"""Run the dbt command in a separate process, with the settings and files of this home."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tuning.command_line.stopped import StoppedError
from tuning.errors import TuningError
from tuning.progress import progress
from tuning.records import read_record, write_record
from tuning.resource_errors import disk_error
from tuning.settings import DBT_PROJECT, Settings, variable
from tuning.storage import locked, remove
from tuning.target import find_target
from tuning.warehouse import emulator
from tuning.warehouse.client import find_warehouse
from tuning.warehouse.dbt_client import WATCHED
from tuning.warehouse.fingerprint import parse_inputs
from tuning.warehouse.restart.revival import Revival
from tuning.warehouse.variables import Variables

# The settings, except bigquery_endpoint, that profiles.yml and the macros read from environment variables.
_READ_BY_DBT = (
    *("home", "project", "bigquery_dataset", "location", "raw_database", "raw_schema"),
    *("maximum_bytes_billed", "job_timeout"),
)
_LONGEST = 500  # maximum characters of an error message; the message of a unit test contains a whole table
_WATCH_SECONDS = 1.0  # between looks at the process of the local BigQuery
_GRACE_SECONDS = 10.0  # for dbt to cancel its jobs
_OF_ONE_NODE = ("LogModelResult", "LogTestResult", "LogSeedResult", "LogNodeNoOpResult")  # the last: of an exposure


class Invocation(msgspec.Struct, frozen=True):
    """Hold the ID of one run of dbt."""

    invocation_id: str


class Response(msgspec.Struct, frozen=True):
    """Hold what BigQuery answered for one node."""

    rows_affected: int | None = None
    bytes_processed: int | None = None


class NodeRun(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the result of one node, such as a model or a test."""

    unique_id: str  # TYPE.PROJECT.NAME
    status: str
    message: str | None = None
    execution_time: float  # seconds
    adapter_response: Response = Response()


class RunResults(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what this package reads of dbt's run_results.json."""

    metadata: Invocation
    results: list[NodeRun]
    elapsed_time: float  # seconds


@dataclass(frozen=True)
class DbtFiles:
    """Locate the files that dbt writes for one target and one set of variables."""

    folder: Path
    target_name: str  # as dbt calls the target

    @property
    def target(self) -> Path:
        """Return dbt's target folder."""
        return self.folder / "target"

    @property
    def manifest(self) -> Path:
        """Return dbt's manifest of the project."""
        return self.target / "manifest.json"

    @property
    def parsed(self) -> Path:
        """Return the JSON file with the inputs that the manifest was parsed from."""
        return self.folder / "parsed.json"

    @property
    def run_results(self) -> Path:
        """Return the results of dbt's last command."""
        return self.target / "run_results.json"

    def read(self, path: Path) -> dict[str, Any] | None:
        """Return the content of one of the JSON files, or None if it is missing or damaged, so that dbt must run.

        A damaged file is named on stderr.
        """
        if not path.exists():
            return None
        try:
            return read_record(path, dict[str, Any], "It is made again now")
        except TuningError as error:
            print(f"note: {error}", file=sys.stderr)
            return None

    @property
    def log(self) -> Path:
        """Return dbt's log file."""
        return self.folder / "logs" / "dbt.log"


def dbt_files(settings: Settings, variables: Variables) -> DbtFiles:
    """Return where dbt writes its files for these settings and variables."""
    name = find_target(settings).name
    return DbtFiles(settings.home / "dbt" / f"{name}-{variables.key()}", name)


def run_dbt(settings: Settings, arguments: list[str], variables: Variables | None = None) -> RunResults | None:
    """Run ``dbt ARGUMENTS`` on the project. Return its run_results.json, or None if the command does not write one.

    If the local BigQuery ends while dbt runs, it is started again, and so is dbt, once. Raises TuningError with dbt's
    first error and the path of its log if dbt fails.
    """
    variables = variables or Variables()
    files = dbt_files(settings, variables)
    inputs = parse_inputs(settings, variables)
    with locked(files.folder / "dbt.lock", f"dbt with these variables ({files.folder})", settings.job_timeout):
        remove(files.run_results)
        remove(files.parsed)
        given, revival = environment(settings), None
        if server := find_warehouse(settings).own_server():
            revival = Revival(settings, server)
        while True:
            server = revival.server if revival else None
            status, errors = _run(command(settings, arguments, variables), given, " ".join(arguments[:1]), server)
            if status == 0 or revival is None or server is None or not revival.revive(server):
                break
        full = None if status == 0 else next(filter(None, map(disk_error, errors)), None)
        results = (
            read_record(files.run_results, RunResults, f"See the log {files.log}")
            if files.run_results.exists() and not full
            else None
        )
        if status == 0:
            write_record(files.parsed, inputs)
    if full:
        raise TuningError(f"dbt {arguments[0]} failed: {full}")
    if status != 0:
        what = _first_failure(results) or next(iter(errors), "it printed no error")
        raise TuningError(f"dbt {arguments[0]} failed: {what}", f"See the log {files.log}")
    return results


def command(settings: Settings, arguments: list[str], variables: Variables) -> list[str]:
    """Return the command line. It runs the `dbt` installed next to this Python, because `dbt` may not be on PATH."""
    files = dbt_files(settings, variables)
    overrides = variables.overrides()
    return [
        str(Path(sys.executable).parent / "dbt"),
        *arguments,
        *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
        *("--target", files.target_name),
        *("--target-path", str(files.target), "--log-path", str(files.log.parent), "--log-format", "json"),
        "--no-use-colors",
        *(("--vars", json.dumps(overrides, sort_keys=True, ensure_ascii=False)) if overrides else ()),
    ]


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment for dbt: that of this process, plus the effective settings, but no secret.

    dbt gets the access token from the file that `hide_secrets` writes.
    """
    ours = {variable(name): str(getattr(settings, name)) for name in _READ_BY_DBT}
    return os.environ | ours | {variable("bigquery_endpoint"): find_warehouse(settings).endpoint(), WATCHED: "1"}


def _run(
    arguments: list[str], variables: dict[str, str], label: str, server: emulator.Server | None
) -> tuple[int, list[str]]:
    """Run the command. Return its exit status and its error messages in order. End it if the server's process ends.

    When dbt begins its first node that has a BigQuery dataset, that is printed on stderr. In a terminal a bar counts
    the nodes: models, seeds, tests and exposures. The last ones need no work, so only the bar shows their number.
    """
    errors, advance, place = [], None, ""
    process = subprocess.Popen(
        arguments, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    with process, _ended_with(server, process), contextlib.ExitStack() as shown:
        assert process.stdout is not None  # noqa: S101 - never None with stdout=PIPE
        for line in process.stdout:
            try:
                log = orjson.loads(line)
                event = log["info"]
            except (orjson.JSONDecodeError, KeyError):  # printed by a library, not a line of dbt's log
                errors.append(line.strip())
                continue
            if event["name"] == "LogStartLine" and advance is None:
                advance = shown.enter_context(progress(f"dbt {label}", log["data"]["total"], "nodes"))
            if event["name"] == "LogStartLine" and not place and (place := _place(log["data"])):
                print(f"dbt {label} works in the BigQuery dataset {place}", file=sys.stderr)
            if event["name"] in _OF_ONE_NODE and advance is not None:
                advance(1)
            if event["level"] == "error" and event["msg"].strip():
                errors.append(event["msg"])
    return process.returncode, errors


def _place(data: dict[str, Any]) -> str:
    """Return the BigQuery dataset that a node is built into; '' for a unit test, which has none."""
    return str(data["node_info"]["node_relation"]["schema"] or "")


@contextlib.contextmanager
def _ended_with(server: emulator.Server | None, process: "subprocess.Popen[str]") -> Iterator[None]:
    """End dbt if this process is stopped, or if the server's ends: dbt would try to reach it for over ten minutes."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_WATCH_SECONDS):
            if server is not None and emulator.is_gone(server):
                process.kill()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except KeyboardInterrupt as stop:
        if isinstance(stop, StoppedError):  # Ctrl-C reaches dbt as well, SIGTERM does not
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    finally:
        finished.set()
        watcher.join()


def _first_failure(results: RunResults | None) -> str:
    for result in results.results if results else ():
        if result.status in ("error", "fail", "runtime error"):
            name, message = result.unique_id.split(".")[2], result.message or ""
            return f"{name}: {message if len(message) <= _LONGEST else message[:_LONGEST] + '...'}"
    return ""
