"""Drop the temporary tables of a job at its end. bqemulator keeps them, and the next job would find them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LIST = """
select 'TABLE' as kind, table_name as name from duckdb_tables() where temporary
union all select 'VIEW', view_name from duckdb_views() where temporary and not internal
"""


@contextmanager
def dropped_at_the_end(context: Any) -> Iterator[None]:
    """Drop what the job inside made as temporary."""
    try:
        yield
    finally:
        for kind, name in context.engine.execute(_LIST).fetchall():
            quoted = name.replace('"', '""')
            context.engine.execute(f'DROP {kind} IF EXISTS temp.main."{quoted}"')
