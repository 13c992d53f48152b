"""Collect the inputs of a build: the dbt project's files, the variables, the settings and the source data.

If they have not changed, the marts do not have to be built again.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.settings import DBT_PROJECT, Settings
from tuning.storage import sha256_of
from tuning.warehouse.variables import Variables

if TYPE_CHECKING:
    from google.cloud import bigquery

_SUFFIXES = frozenset({".sql", ".yml", ".yaml", ".csv"})
_WRITTEN_BY_DBT = frozenset({"target", "logs", "dbt_packages"})
_SETTINGS = ("target", "project", "bigquery_dataset", "location", "raw_database", "raw_schema")
_TABLES = ("posts_questions", "posts_answers", "users", "post_links")


def parse_inputs(settings: Settings, variables: Variables) -> dict[str, Any]:
    """Return the inputs that dbt's manifest and the table names depend on."""
    return {
        "project": project_digest(),
        "variables": variables.all(),
        "settings": {name: getattr(settings, name) for name in _SETTINGS},
    }


def source(settings: Settings, client: "bigquery.Client") -> dict[str, Any]:
    """Return the row of the table `origin`, which contains the digest of the loaded data.

    Without that table, return the number of rows and the time of the last change of each table. Raises TuningError if
    there are no posts.
    """
    from google.cloud.exceptions import NotFound

    raw = f"{settings.raw_database}.{settings.raw_schema}"
    try:
        tables = {name: client.get_table(f"{raw}.{name}") for name in _TABLES}
    except NotFound:
        tables = {}
    if not tables or not tables["posts_questions"].num_rows:
        raise TuningError(f"there are no posts in {raw}", "Run `invoke ingest DUMP` or `invoke sample` to load data")
    try:
        rows = [dict(row.items()) for row in client.list_rows(f"{raw}.origin", max_results=1)]
    except NotFound:
        rows = []
    if rows:
        return rows[0]
    return {name: [table.num_rows, table.modified.isoformat()] for name, table in tables.items()}


def project_digest() -> str:
    """Return a hash of the dbt project's files."""
    digest = hashlib.sha256()
    for path in sorted(DBT_PROJECT.rglob("*")):
        name = path.relative_to(DBT_PROJECT)
        if path.suffix in _SUFFIXES and name.parts[0] not in _WRITTEN_BY_DBT:
            digest.update(f"{name.as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()
