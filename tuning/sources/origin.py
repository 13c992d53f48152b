"""The one-row table `origin`: where the raw tables' content comes from, from which every URL and notice is built."""

from typing import TYPE_CHECKING, Literal

import msgspec

from tuning.settings import Settings

if TYPE_CHECKING:
    from google.cloud import bigquery

# Of the posts' own text; the version follows from each post's date.
CC_BY_SA = ("CC BY-SA", "https://creativecommons.org/licenses/by-sa/4.0/")
PSF = ("PSF-2.0", "https://docs.python.org/3/license.html")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What was loaded. `source` is a file's name without its folder; `digest` is the sha256 of the loaded content."""

    site: str
    kind: Literal["stack_exchange", "python_docs"]
    name: str
    base_url: str
    license: str
    license_url: str
    source: str
    tag_filter: str
    digest: str
    questions: int
    answers: int


def read_origin(settings: Settings) -> Origin | None:
    """The origin of what the raw tables hold; None for the public dataset and for an empty warehouse."""
    from google.cloud.exceptions import NotFound

    from tuning.warehouse.client import connect

    client = connect(settings)
    try:
        client.get_table(table_id(settings, "origin"), timeout=30)
    except NotFound:
        return None
    return _only_row(client, table_id(settings, "origin"))


def table_id(settings: Settings, table: str) -> str:
    """``project.dataset.table`` of a raw table."""
    return f"{settings.raw_database}.{settings.raw_schema}.{table}"


def _only_row(client: "bigquery.Client", table: str) -> Origin | None:
    rows = list(client.list_rows(table, max_results=1, timeout=30))
    return msgspec.convert(dict(rows[0].items()), Origin) if rows else None
