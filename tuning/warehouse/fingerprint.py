"""Collect the inputs of a build: the dbt project's files, the variables, the settings and the source data.

If none of them has changed, the marts do not have to be built again.
"""

from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.settings import DBT_PROJECT, Settings
from tuning.storage import dbt_project_sha256
from tuning.warehouse.client import find_warehouse
from tuning.warehouse.variables import Variables

if TYPE_CHECKING:
    from google.cloud import bigquery

_SETTINGS = ("target", "project", "bigquery_dataset", "location", "raw_database", "raw_schema")
_TABLES = ("posts_questions", "posts_answers", "users", "post_links")


def parse_inputs(settings: Settings, variables: Variables) -> dict[str, Any]:
    """Return the inputs that dbt's manifest and the table names depend on."""
    return {
        "project": dbt_project_sha256(DBT_PROJECT),
        "variables": variables.all(),
        "settings": {name: getattr(settings, name) for name in _SETTINGS},
    }


def source_tables(settings: Settings) -> list[str]:
    """Return the full names of the tables that dbt reads posts, users and links from."""
    return [f"{settings.raw_database}.{settings.raw_schema}.{name}" for name in _TABLES]


def source(settings: Settings, client: "bigquery.Client") -> dict[str, Any]:
    """Return the row of the table `origin`, which contains the digest of the loaded data.

    If there is no such table, return the number of rows and the time of the last change of each source table. Raises
    TuningError if a source table is missing or there are no questions.
    """
    from google.cloud.exceptions import NotFound

    raw = f"{settings.raw_database}.{settings.raw_schema}"
    with google_errors(f"reading {raw}"):
        try:
            tables = {name: client.get_table(f"{raw}.{name}") for name in _TABLES}
        except NotFound:
            tables = {}
    if not tables or not tables["posts_questions"].num_rows:
        raise TuningError(f"there are no posts in {raw}", find_warehouse(settings).how_to_fill())
    with google_errors(f"reading {raw}.origin"):
        try:
            rows = [dict(row.items()) for row in client.list_rows(f"{raw}.origin", max_results=1)]
        except NotFound:
            rows = []
    if rows and "exclude_user" not in rows[0]:
        raise TuningError(
            f"the tables in {raw} were loaded by an earlier version",
            f"Load them again. {find_warehouse(settings).how_to_fill()}",
        )
    if rows:
        return rows[0]
    return {name: [table.num_rows, table.modified.isoformat()] for name, table in tables.items()}
