"""dbt, as a person types it, while no local BigQuery runs: one line with what to do, where it needs one at all."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from dbt_common.exceptions import DbtRuntimeError

from tests.homes import free_port
from tuning.errors import TuningError
from tuning.settings import DBT_PROJECT, Settings
from tuning.warehouse import emulator
from tuning.warehouse.client import find_warehouse
from tuning.warehouse.dbt_client import require_server

Dbt = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """Runs dbt with one folder and one address, so that only the first command parses the whole project."""
    folder = tmp_path_factory.mktemp("without")
    ours = {"TUNING_HOME": str(folder / "home"), "TUNING_BIGQUERY_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    places = ["--log-path", str(folder / "logs"), "--target-path", str(folder / "target"), "--no-use-colors"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("dbt")), *arguments, *places]
        environment = os.environ | ours
        return subprocess.run(command, cwd=DBT_PROJECT, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("command", [("build",), ("source", "freshness")])
def test_a_command_that_always_connects_fails_before_it_reads_the_project(dbt: Dbt, command: tuple[str, ...]) -> None:
    done = dbt(*command)
    said = [line for line in done.stdout.splitlines() if "BigQuery server" in line]
    assert done.returncode == 2, done.stdout + done.stderr
    assert [line.rpartition("refused). ")[2] for line in said] == [
        "Start it (`invoke warehouse.up`), or unset TUNING_BIGQUERY_ENDPOINT"
    ]
    assert "Found" not in done.stdout  # dbt prints it after it has read the project
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_a_command_that_connects_later_says_the_same_without_a_traceback(dbt: Dbt) -> None:
    done = dbt("compile")
    assert (done.returncode, "Traceback" in done.stdout) == (2, False)
    assert "Start it (`invoke warehouse.up`)" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("parse",), ("ls",), ("compile", "--no-populate-cache", "--no-introspect"), ("run-operation", "no_macro")],
)
def test_a_command_that_needs_no_server_works_without_one(dbt: Dbt, command: tuple[str, ...]) -> None:
    done = dbt(*command)
    assert "BigQuery server" not in done.stdout
    assert done.returncode == (0 if "no_macro" not in command else 2), done.stdout


def test_the_remedy_is_the_command_that_helps(new_home: Callable[..., Settings]) -> None:
    settings, address = new_home(), f"http://127.0.0.1:{free_port()}"

    def hint(settings: Settings) -> str:
        with pytest.raises(TuningError) as refused:
            find_warehouse(settings).require_answer(address)
        return str(refused.value).rpartition("refused). ")[2]

    assert hint(settings) == "Start it: `invoke warehouse.up`"
    named = msgspec.structs.replace(settings, bigquery_endpoint=address)
    assert hint(named) == "Start it (`invoke warehouse.up`), or unset TUNING_BIGQUERY_ENDPOINT"
    server = emulator.ensure(settings)
    assert hint(settings) == (
        f"The one of this home runs elsewhere: `export TUNING_BIGQUERY_ENDPOINT={server.endpoint}`"
    )


def test_a_server_of_another_home_at_the_port_is_refused_with_what_to_type(
    warehouse: Settings, new_home: Callable[..., Settings]
) -> None:
    own, address = new_home("own"), emulator.ensure(warehouse).endpoint

    def refused() -> str:
        with pytest.raises(DbtRuntimeError) as failed:
            require_server(own, address)
        return str(failed.value).strip().rpartition("\n")[2].strip()

    what = f"the BigQuery server at {address} belongs to {warehouse.home}, not to {own.home}."
    assert refused() == f"{what} Start it: `invoke warehouse.up`"
    server = emulator.ensure(own)
    assert refused() == (
        f"{what} The one of this home runs elsewhere: `export TUNING_BIGQUERY_ENDPOINT={server.endpoint}`"
    )
    require_server(own, server.endpoint)
