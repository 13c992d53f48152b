"""The raw tables have the public dataset's columns, in its order."""

import pyarrow as pa

from tuning.sources.schemas import TABLES, arrow_schema, bigquery_schema

# As `bq show --schema bigquery-public-data:stackoverflow.TABLE` has them.
POSTS = [
    "id", "title", "body", "accepted_answer_id", "answer_count", "comment_count", "community_owned_date",
    "creation_date", "favorite_count", "last_activity_date", "last_edit_date", "last_editor_display_name",
    "last_editor_user_id", "owner_display_name", "owner_user_id", "parent_id", "post_type_id", "score", "tags",
    "view_count",
]  # fmt: skip
USERS = [
    "id", "display_name", "about_me", "age", "creation_date", "last_access_date", "location", "reputation", "up_votes",
    "down_votes", "views", "profile_image_url", "website_url",
]  # fmt: skip


def test_posts_have_the_twenty_public_columns_in_their_order_and_then_our_own() -> None:
    assert arrow_schema("posts_questions").names == [*POSTS, "closed_date", "content_license"]
    assert arrow_schema("posts_answers").names == [*POSTS, "content_license"]
    assert arrow_schema("users").names == USERS
    assert arrow_schema("post_links").names == ["id", "creation_date", "link_type_id", "post_id", "related_post_id"]


def test_columns_that_one_kind_of_post_never_uses_are_text_there() -> None:
    kinds = {table: {field.name: field.field_type for field in bigquery_schema(table)} for table in TABLES}
    differ = {name for name in POSTS if kinds["posts_questions"][name] != kinds["posts_answers"][name]}
    assert differ == {"accepted_answer_id", "answer_count", "favorite_count", "view_count", "parent_id"}
    assert kinds["posts_questions"]["parent_id"] == "STRING"
    assert kinds["posts_answers"]["parent_id"] == "INT64"
    assert kinds["users"]["age"] == "STRING"


def test_times_are_utc_to_the_microsecond() -> None:
    assert arrow_schema("post_links").field("creation_date").type == pa.timestamp("us", tz="UTC")
