"""A small invented site in the raw tables: one row for every way in which a post can be kept or left out."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tuning.settings import Settings
from tuning.sources.load import load_raw
from tuning.sources.origin import Origin
from tuning.sources.schemas import TABLES, arrow_schema

Row = dict[str, Any]


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def question(post_id: int, tags: str | None, accepted: int | None, **more: Any) -> Row:
    return {
        "id": post_id,
        "tags": tags,
        "accepted_answer_id": accepted,
        "title": f"Title {post_id}",
        "body": f"<p>Question {post_id}</p>\n",
        "creation_date": day("2019-06-01"),
        "post_type_id": 1,
        "score": 1,
        **more,
    }


def answer(post_id: int, parent: int, created: str = "2021-01-01", **more: Any) -> Row:
    return {
        "id": post_id,
        "parent_id": parent,
        "body": f"<p>Answer {post_id}</p>",
        "creation_date": day(created),
        "post_type_id": 2,
        "score": 1,
        **more,
    }


QUESTIONS = [
    question(1, "python|pandas", 101, owner_user_id=7, comment_count=2, view_count=70, closed_date=day("2021-02-01")),
    question(2, "python-3.x", 102, owner_display_name="gone"),
    question(3, "ironpython", 103),
    question(4, "python", 104),  # its answer was written to question 1
    question(5, "python", 105),  # its answer is of the last moment of 2019
    # Its answer is of the first moment of 2020, and the asker wrote it.
    question(6, "python", 106, owner_user_id=7, community_owned_date=day("2021-03-01")),
    question(7, "python", 999),  # its answer is gone
    question(8, "python", None),
    question(9, "javascript", 109),
    question(10, "python", 110),  # denied itself
    question(11, "python", 111),  # its answer is denied
    question(12, None, 112),
    question(13, "wxpython|pythonanywhere", 113),
    question(14, "python-2.7", 114, title='It\'s "quoted" \\d \\n', body="<p>&amp;lt; é 😀</p>\r\n"),
    question(15, "python", 115),  # a bot answered
    question(16, "python", 116, owner_user_id=12),  # the load excluded its author
    question(17, "python", 1_000_000_010),  # its answer is fabricated
    question(18, "python", 118, content_license="CC BY-NC-SA 4.0"),
    question(19, "python", 119),  # its answer forbids changes
    question(1_000_000_001, "python", 1_000_000_010, owner_user_id=-1),  # fabricated
]
ANSWERS = [
    answer(101, 1, score=5),
    answer(102, 2, score=-3),
    answer(103, 3),
    answer(104, 1, score=0),
    answer(105, 5, "2019-12-31T23:59:59.999"),
    answer(106, 6, "2020-01-01T00:00:00", last_edit_date=day("2021-05-05"), owner_user_id=7, comment_count=4),
    answer(109, 9),
    answer(110, 10),
    answer(111, 11),
    answer(112, 12),
    answer(113, 13),
    answer(114, 14, body="<pre><code>print x\n</code></pre>"),
    answer(115, 15, owner_user_id=-2),
    answer(116, 16),
    answer(118, 18),
    answer(119, 19, content_license="cc by-nd 4.0"),
    answer(1_000_000_010, 17, owner_user_id=-1),
    answer(201, 1, score=3),
]
USERS = [{"id": 7, "display_name": "Ada"}]
POST_LINKS = [
    {"id": 1, "link_type_id": 3, "post_id": 1, "related_post_id": 2},
    {"id": 2, "link_type_id": 1, "post_id": 1, "related_post_id": 6},
    {"id": 3, "link_type_id": 3, "post_id": 999, "related_post_id": 1},
]
DENIED = [10, 111]

# Which questions the mart holds, by rule; DENIED is in none.
KEPT_BY_DEFAULT = [1, 2, 6, 14]
KEPT_BY_SEED = [1, 2, 3, 4, 6, 13, 14]
KEPT_BY_EXACT_TAG = [1, 6]
# Questions of KEPT_BY_DEFAULT that the export leaves out, with the reason.
REJECTED_BY_DEFAULT = {14: "Python 2 code"}


def load(settings: Settings, folder: Path) -> None:
    """Fill the raw tables."""
    rows: dict[str, list[Row]] = {
        "posts_questions": QUESTIONS,
        "posts_answers": ANSWERS,
        "users": USERS,
        "post_links": POST_LINKS,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for table in [*rows, *(set(TABLES) - rows.keys() - {"origin"})]:
        pq.write_table(pa.Table.from_pylist(rows.get(table, []), arrow_schema(table)), folder / f"{table}.parquet")
    load_raw(
        settings,
        folder,
        Origin(
            site="invented.example.com",
            kind="stack_exchange",
            name="Invented",
            base_url="https://invented.example.com",
            license="CC BY-SA",
            license_url="https://creativecommons.org/licenses/by-sa/4.0/",
            source="invented",
            tag_filter="",
            digest="0" * 64,
            questions=len(QUESTIONS),
            answers=len(ANSWERS),
            exclude_user="12,99",
        ),
    )
