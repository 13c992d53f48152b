"""What a build follows from: the project's files, the variables, the settings and the source's content."""

import hashlib
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import sha256_of
from tuning.warehouse.variables import DBT_PROJECT, Variables

if TYPE_CHECKING:
    from google.cloud import bigquery

_SUFFIXES = frozenset({".sql", ".yml", ".yaml", ".csv"})
_WRITTEN_BY_DBT = frozenset({"target", "logs", "dbt_packages"})
_SETTINGS = ("target", "project", "dataset", "location", "raw_database", "raw_schema")
_TABLES = ("posts_questions", "posts_answers", "users", "post_links")


def parse_inputs(settings: Settings, variables: Variables) -> dict[str, Any]:
    """What a parse, and with it every table's name, follows from."""
    return {
        "project": _project_digest(),
        "variables": variables.all(),
        "settings": {name: getattr(settings, name) for name in _SETTINGS},
    }


def source(settings: Settings, client: "bigquery.Client") -> dict[str, Any]:
    """The digest of what was loaded, read from the table `origin`; without one, when and how many rows each table got.

    Raises TuningError where there is nothing to build from.
    """
    from google.cloud.exceptions import NotFound

    raw = f"{settings.raw_database}.{settings.raw_schema}"
    try:
        tables = {name: client.get_table(f"{raw}.{name}") for name in _TABLES}
    except NotFound:
        tables = {}
    if not tables or not tables["posts_questions"].num_rows:
        raise TuningError(f"there are no posts in {raw}", "`invoke ingest DUMP` or `invoke sample` fills it")
    try:
        rows = [dict(row.items()) for row in client.list_rows(f"{raw}.origin", max_results=1)]
    except NotFound:
        rows = []
    if rows:
        return rows[0]
    return {name: [table.num_rows, table.modified.isoformat()] for name, table in tables.items()}


def _project_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(DBT_PROJECT.rglob("*")):
        name = path.relative_to(DBT_PROJECT)
        if path.suffix in _SUFFIXES and name.parts[0] not in _WRITTEN_BY_DBT:
            digest.update(f"{name.as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()
