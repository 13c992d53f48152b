"""SQL and jobs of the local BigQuery reach no file of this machine but those of gs://, and no web page reaches it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
import yaml
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from tuning.settings import DBT_PROJECT, Settings
from tuning.warehouse import emulator
from tuning.warehouse.client import query
from tuning.warehouse.identity import home_of_request

REFUSED = "file system operations are disabled by configuration|Could not open GDAL dataset"
NO_SUCH = "Table-valued function not found|BigQuery has no such statement"
FUNCTIONS = [
    "select * from read_text('{secret}')",
    "select * from read_blob('{secret}')",
    "select * from read_csv('{secret}')",
    "select * from read_csv_auto('{secret}')",
    "select * from read_json('{secret}')",
    "select * from read_parquet('{secret}')",
    "select * from sniff_csv('{secret}')",
    "select * from st_read('{secret}')",
    "select * from st_read_meta('{secret}')",
    "select * from read_text('{gcs}/../../secret.csv')",
    "copy (select 1) to '{secret}.out'",
]
OPENERS = [
    "select * from '{secret}'",
    "attach '{secret}.db'",
    "attach '{secret}.db' as other",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "reset enable_external_access",
    "pragma enable_external_access",
]
# Runs each statement in DuckDB as the server has shut it, and prints its error.
ENGINE = """
import asyncio, json, sys
from pathlib import Path
import bqemulator.server
from bqemulator.config import PersistenceMode, Settings as EmulatorSettings
from tuning.settings import Settings
from tuning.warehouse import server
settings = Settings(home=Path(sys.argv[1]))
server.shut(settings)
options = EmulatorSettings(
    persistence_mode=PersistenceMode.PERSISTENT, data_dir=settings.warehouse_dir, enable_format_extensions=False
)
engine = bqemulator.server.DuckDBEngine(options)
asyncio.run(engine.start())
for sql in json.loads(sys.argv[2]):
    try:
        print("RAN", str(engine.execute(sql).fetchall())[:500])
    except Exception as error:
        print("REFUSED", str(error).replace(chr(10), " ")[:500])
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.write_text("word\nhunter2\n")
    return path


def test_duckdb_itself_opens_no_file_of_the_host(new_home: Callable[..., Settings], secret: Path) -> None:
    settings = new_home("shut")
    settings.warehouse_dir.mkdir(parents=True)
    tries = [sql.format(secret=secret, gcs=settings.gcs_dir) for sql in (*FUNCTIONS, *OPENERS, *FUNCTIONS)]
    code = [sys.executable, "-c", ENGINE, str(settings.home), json.dumps(tries)]
    run = subprocess.run(code, capture_output=True, text=True, check=True, cwd=secret.parent)
    lines = [line for line in run.stdout.splitlines() if line.startswith(("RAN", "REFUSED"))]
    assert len(lines) == len(tries)
    assert not [pair for pair in zip(tries, lines, strict=True) if not pair[1].startswith("REFUSED")]
    opened = [line for line in [*lines[: len(FUNCTIONS)], *lines[-len(FUNCTIONS) :]] if not re.search(REFUSED, line)]
    assert not opened
    assert "hunter2" not in run.stdout
    assert "secret.csv.out" not in [path.name for path in secret.parent.iterdir()]


@pytest.mark.parametrize("sql", FUNCTIONS)
def test_no_function_of_duckdb_opens_a_file_of_the_host(
    warehouse: Settings, client: bigquery.Client, secret: Path, sql: str
) -> None:
    with pytest.raises(GoogleAPICallError, match=NO_SUCH) as refused:
        query(client, sql.format(secret=secret, gcs=warehouse.gcs_dir))
    assert "hunter2" not in str(refused.value)
    assert [path.name for path in secret.parent.iterdir()] == ["secret.csv"]


@pytest.mark.parametrize(
    "sql",
    [
        *OPENERS,
        "select * from `{secret}`",
        "select * from glob('{secret}')",
        "load data into notes.x from files (format = 'csv', uris = ['{secret}'])",
        "create external table notes.x options (format = 'csv', uris = ['{secret}'])",
        "export data options (uri = 'file://{secret}.out', format = 'csv') as select 1 as one",
        "export data options (uri = '{secret}.out', format = 'csv') as select 1 as one",
        "begin set enable_external_access = true; end",
    ],
)
def test_no_statement_reaches_the_host_or_opens_the_door_again(client: bigquery.Client, secret: Path, sql: str) -> None:
    with pytest.raises(GoogleAPICallError) as refused:
        query(client, sql.format(secret=secret))
    assert "hunter2" not in str(refused.value)
    assert [path.name for path in secret.parent.iterdir()] == ["secret.csv"]
    with pytest.raises(GoogleAPICallError, match=NO_SUCH):
        query(client, f"select * from read_text('{secret}')")  # noqa: S608


@pytest.mark.parametrize(
    "uri", ["file://{secret}", "{secret}", "gs://../../secret.csv", "gs://bucket/../../secret.csv"]
)
@pytest.mark.parametrize("source_format", ["CSV", "PARQUET", "AVRO", "ORC"])
def test_jobs_take_no_address_but_gs(client: bigquery.Client, secret: Path, uri: str, source_format: str) -> None:
    client.create_dataset("notes", exists_ok=True)
    address = uri.format(secret=secret)
    load = bigquery.LoadJobConfig(source_format=source_format, schema=[bigquery.SchemaField("word", "STRING")])
    with pytest.raises(GoogleAPICallError, match=r"not an address of the form gs|escapes the configured"):
        client.load_table_from_uri(address, "notes.stolen", job_config=load).result()


def test_a_web_page_may_not_use_it(warehouse: Settings) -> None:
    address = f"{emulator.ensure(warehouse).endpoint}/bigquery/v2/projects"
    assert requests.get(address, timeout=30).status_code == 200
    assert requests.get(address, headers={"Origin": "https://example.com"}, timeout=30).status_code == 403
    assert requests.get(address, headers={"Host": "rebound.example.com"}, timeout=30).status_code == 403


def test_a_request_for_another_home_is_refused_with_a_status_that_no_client_repeats(warehouse: Settings) -> None:
    address = f"{emulator.ensure(warehouse).endpoint}/bigquery/v2/projects"

    def ask(home: str) -> requests.Response:
        token = urlencode({"home": home, "profiles": "/project/dbt_project", "folder": "/project"})
        return requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    assert ask(str(warehouse.home)).status_code == 200
    refused = ask("/another/h\u00f6me")
    assert refused.status_code == 400
    message = refused.json()["error"]["message"]
    assert f"belongs to the home {warehouse.home}, but the command runs for the home /another/h\u00f6me" in message
    assert refused.json()["error"]["errors"] == [{"message": message, "domain": "global", "reason": "invalid"}]


@pytest.mark.parametrize(
    ("environ", "profiles", "home"),
    [
        ({"TUNING_HOME": "/data/h\u00f6me & co"}, "/project/dbt_project", "/data/h\u00f6me & co"),
        ({"TUNING_HOME": "var/other"}, "/project/dbt_project", "/here/var/other"),
        ({}, "/project/dbt_project", "/project/var"),
        ({}, "../project/dbt_project", "/project/var"),
        ({"TUNING_ACCESS_TOKEN": "planted"}, "/project/dbt_project", "/project/var"),
    ],
    ids=["absolute", "relative", "default", "relative profile", "with a token for other servers"],
)
def test_dbt_names_its_home_in_every_request(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], profiles: str, home: str
) -> None:
    from argparse import Namespace

    from dbt.config.renderer import ProfileRenderer
    from dbt.flags import set_from_args
    from dbt_common.context import set_invocation_context

    monkeypatch.delenv("TUNING_HOME")
    set_invocation_context({"PWD": "/here", **environ})
    set_from_args(Namespace(PROFILES_DIR=profiles), None)
    profile = yaml.safe_load((DBT_PROJECT / "profiles.yml").read_text())["python_qa"]["outputs"]
    token = ProfileRenderer({}).render_value(profile["local"]["token"])
    assert home_of_request(f"Bearer {token}") == Path(home)


def test_other_clients_name_no_home() -> None:
    assert [home_of_request(header) for header in ("", "Bearer loopback", "Bearer a=b&c=d")] == [None] * 3
