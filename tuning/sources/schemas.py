"""Define the raw tables: those of ``bigquery-public-data.stackoverflow``, and this project's table `origin`.

Columns have the same names, order and types as in the public dataset. As there, a column that questions or answers
never use has the type STRING and is null. The public dataset lacks two columns, which come last: questions have
`closed_date`, and all posts have `content_license`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

if TYPE_CHECKING:
    from google.cloud import bigquery

Kind = Literal["INT64", "STRING", "TIMESTAMP"]
_ARROW = {"INT64": pa.int64(), "STRING": pa.string(), "TIMESTAMP": pa.timestamp("us", tz="UTC")}


@dataclass(frozen=True)
class Column:
    """Describe a column by name and BigQuery type. Every column is nullable, as in the public dataset."""

    name: str
    kind: Kind


def columns(table: str) -> tuple[Column, ...]:
    """Return the columns of a raw table, in the order that Parquet files for a load job must have."""
    return TABLES[table]


def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a raw table."""
    return pa.schema([(column.name, _ARROW[column.kind]) for column in columns(table)])


def bigquery_schema(table: str) -> list["bigquery.SchemaField"]:
    """Return the BigQuery schema of a raw table."""
    from google.cloud import bigquery

    return [bigquery.SchemaField(column.name, column.kind) for column in columns(table)]


def _table(text: str) -> tuple[Column, ...]:
    """Parse lines of the form `name KIND`."""
    kinds: dict[str, Kind] = {"INT64": "INT64", "STRING": "STRING", "TIMESTAMP": "TIMESTAMP"}
    pairs = (line.split() for line in text.strip().splitlines())
    return tuple(Column(name, kinds[kind]) for name, kind in pairs)


TABLES = {
    "posts_questions": _table("""
        id INT64
        title STRING
        body STRING
        accepted_answer_id INT64
        answer_count INT64
        comment_count INT64
        community_owned_date TIMESTAMP
        creation_date TIMESTAMP
        favorite_count INT64
        last_activity_date TIMESTAMP
        last_edit_date TIMESTAMP
        last_editor_display_name STRING
        last_editor_user_id INT64
        owner_display_name STRING
        owner_user_id INT64
        parent_id STRING
        post_type_id INT64
        score INT64
        tags STRING
        view_count INT64
        closed_date TIMESTAMP
        content_license STRING
    """),
    "posts_answers": _table("""
        id INT64
        title STRING
        body STRING
        accepted_answer_id STRING
        answer_count STRING
        comment_count INT64
        community_owned_date TIMESTAMP
        creation_date TIMESTAMP
        favorite_count STRING
        last_activity_date TIMESTAMP
        last_edit_date TIMESTAMP
        last_editor_display_name STRING
        last_editor_user_id INT64
        owner_display_name STRING
        owner_user_id INT64
        parent_id INT64
        post_type_id INT64
        score INT64
        tags STRING
        view_count STRING
        content_license STRING
    """),
    "users": _table("""
        id INT64
        display_name STRING
        about_me STRING
        age STRING
        creation_date TIMESTAMP
        last_access_date TIMESTAMP
        location STRING
        reputation INT64
        up_votes INT64
        down_votes INT64
        views INT64
        profile_image_url STRING
        website_url STRING
    """),
    "post_links": _table("""
        id INT64
        creation_date TIMESTAMP
        link_type_id INT64
        post_id INT64
        related_post_id INT64
    """),
    "origin": _table("""
        site STRING
        kind STRING
        name STRING
        base_url STRING
        license STRING
        license_url STRING
        source STRING
        tag_filter STRING
        digest STRING
        questions INT64
        answers INT64
        exclude_user STRING
    """),
}
