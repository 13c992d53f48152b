"""Make the rows of the raw tables from the posts that were written for this project."""

import datetime
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

Row = dict[str, object]

FIRST_ID = 1_000_000_000_000  # above the IDs of every site, because no site has nearly as many posts
AUTHOR = "the authors of python-qa-tuning"
_POSTS = Path(__file__).parent / "posts"
_FIRST_DAY = datetime.datetime(2025, 1, 1, 9, tzinfo=datetime.UTC)
_BETWEEN = datetime.timedelta(hours=30)  # time between two questions, so that the sample spans most of a year


class Post(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Represent a question and its accepted answer, in Markdown. `check` is code that tests the answer's code."""

    topic: str
    title: str
    tags: list[str]
    question: str
    answer: str
    check: str
    worse: str = ""  # a plausible answer that is less good, or empty


def posts() -> list[Post]:
    """Return all posts, in the order of their files."""
    return [
        msgspec.convert(post, Post)
        for path in sorted(_POSTS.glob("*.toml"))
        for post in tomllib.loads(path.read_text(encoding="utf-8"))["post"]
    ]


def sample_rows(count: int | None = None) -> Iterator[tuple[Row, list[Row]]]:
    """Yield the first `count` questions (None: all), each with its answers. The accepted answer comes first."""
    for number, post in enumerate(posts()[:count]):
        first = FIRST_ID + 10 * number
        asked = _FIRST_DAY + number * _BETWEEN
        answers = [_row(first + 1, post.answer, asked + datetime.timedelta(hours=1), score=12)]
        if post.worse:
            answers.append(_row(first + 2, post.worse, asked + datetime.timedelta(minutes=10), score=0))
        for answer in answers:
            answer.update(parent_id=first, post_type_id=2)
        question = _row(first, post.question, asked, score=5) | {
            "title": post.title,
            "accepted_answer_id": first + 1,
            "answer_count": len(answers),
            "post_type_id": 1,
            "tags": "|".join(post.tags),
            "view_count": 100,
        }
        yield question, answers


def _row(number: int, text: str, created: datetime.datetime, score: int) -> Row:
    return {
        "id": number,
        "body": as_html(text),
        "comment_count": 0,
        "creation_date": created,
        "last_activity_date": created,
        "owner_display_name": AUTHOR,
        "score": score,
    }


def as_html(markdown: str) -> str:
    """Return Markdown as the HTML of a post: a fence names its language in the class of its `code` element."""
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark").render(markdown.strip()))
