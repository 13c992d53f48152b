"""What a local BigQuery has loaded."""

import msgspec
from google.cloud.exceptions import NotFound

from tuning.settings import Settings
from tuning.sources.origin import Origin, table_id
from tuning.warehouse.client import connect


def read_origin(settings: Settings) -> Origin | None:
    """The origin of the raw tables' content; None for an empty warehouse."""
    try:
        (row,) = connect(settings).list_rows(table_id(settings, "origin"))
    except NotFound:
        return None
    return msgspec.convert(dict(row.items()), Origin)
