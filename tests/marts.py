"""Small marts for tests: rows with dbt's columns, made from invented posts or from a real dump, as Parquet."""

import datetime
import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from lxml import etree

from tuning.dataset.similar.shingles import shingles, similarity
from tuning.dataset.snapshot.snapshot import Kind, Snapshot, seal_snapshot
from tuning.settings import DBT_PROJECT
from tuning.warehouse.mart_columns import MartColumns

TEMPLATE = (
    "Please answer the following Stackoverflow question on Python. "
    "Answer it like you are a developer answering Stackoverflow questions.\n\nStackoverflow question:\n"
)
BUILD: dict[str, object] = {
    "variables": "{}",
    "instruction_template": TEMPLATE,
    "invocation_id": "00000000-0000-0000-0000-000000000000",
    "site": "stackoverflow.com",
    "kind": "stack_exchange",
    "name": "Stack Overflow",
    "base_url": "https://stackoverflow.com",
    "license": "CC BY-SA",
    "license_url": "https://creativecommons.org/licenses/by-sa/4.0/",
    "source": "invented.xml",
    "digest": "0",
}
_WORDS = ("parse", "sort", "merge", "read", "write", "split", "join", "index", "count", "filter", "group", "date")
_TIME = pa.timestamp("us", tz="UTC")
_POST = [
    ("score", pa.int64()),
    ("created_at", _TIME),
    ("license", pa.string()),
    ("license_url", pa.string()),
    ("author_id", pa.int64()),
    ("author_name", pa.string()),
    ("author_url", pa.string()),
    ("url", pa.string()),
]
_QUESTION = [("question_title", pa.string()), ("question_body", pa.string()), ("tags", pa.list_(pa.string()))]
_LINKED = [("linked_question_ids", pa.list_(pa.int64())), ("quality_reason", pa.string())]
INSTRUCTIONS = pa.schema(
    [
        ("example_id", pa.string()),
        ("question_id", pa.int64()),
        ("answer_id", pa.int64()),
        *_QUESTION,
        ("answer_body", pa.string()),
        ("input_text", pa.string()),
        ("input_text_instruct", pa.string()),
        ("output_text", pa.string()),
        *[(f"question_{name}", kind) for name, kind in _POST],
        *[(f"answer_{name}", kind) for name, kind in _POST],
        *_LINKED,
    ]
)
PREFERENCES = pa.schema(
    [
        ("example_id", pa.string()),
        ("question_id", pa.int64()),
        ("chosen_answer_id", pa.int64()),
        ("rejected_answer_id", pa.int64()),
        *_QUESTION,
        ("chosen_body", pa.string()),
        ("rejected_body", pa.string()),
        *[(f"{post}_{name}", kind) for post in ("question", "chosen", "rejected") for name, kind in _POST],
        *_LINKED,
    ]
)


def words(number: int, count: int = 40) -> str:
    """Words that another number's text does not share: `count` of them, of which every other names the number."""
    return " ".join(f"{_WORDS[(number + at) % len(_WORDS)]} n{number}x{at}" for at in range(count // 2))


def jaccard(one: str, other: str) -> float:
    """Exact similarity of two texts."""
    return similarity(shingles(one), shingles(other))


def row(question_id: int, **values: Any) -> dict[str, Any]:
    """One row of the instruction mart. Texts differ from those of any other id unless given."""
    answer_id = values.pop("answer_id", question_id + 1_000_000)
    title = values.pop("question_title", f"How do I {_WORDS[question_id % len(_WORDS)]} number {question_id}")
    body = values.pop("question_body", f"<p>{words(question_id)}</p>\n")
    answer = values.pop(
        "answer_body", f"<p>Do {words(question_id + 500_000)}</p>\n<pre><code>x = {question_id}\n</code></pre>\n"
    )
    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(days=question_id % 900)
    made = {
        "example_id": f"{question_id}-{answer_id}",
        "question_id": question_id,
        "answer_id": answer_id,
        "question_title": title,
        "question_body": body,
        "answer_body": answer,
        "input_text": title + body,
        "input_text_instruct": f"{TEMPLATE} {title}{body}",
        "output_text": answer,
        "tags": ["python"],
        **_post("question", day, f"https://stackoverflow.com/questions/{question_id}", 11),
        **_post("answer", day + datetime.timedelta(hours=1), f"https://stackoverflow.com/a/{answer_id}", 12),
        "linked_question_ids": [],
        "quality_reason": None,
    }
    return {**made, **values}


def preference_row(question_id: int, **values: Any) -> dict[str, Any]:
    """One row of the preference mart, made as `row` makes one."""
    one = row(question_id)
    made = {name: one[name] for name in one if name in PREFERENCES.names}
    made |= {"chosen_answer_id": one["answer_id"], "chosen_body": one["answer_body"]}
    made |= {"rejected_answer_id": one["answer_id"] + 1, "rejected_body": f"<p>Or {words(question_id + 700_000)}</p>\n"}
    for name, _ in _POST:
        made |= {f"chosen_{name}": one[f"answer_{name}"], f"rejected_{name}": one[f"answer_{name}"]}
    made |= {"rejected_url": f"https://stackoverflow.com/a/{one['answer_id'] + 1}", "rejected_author_name": "Ann Other"}
    return {**made, **values}


def write_snapshot(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    files: int = 1,
    kind: Kind = "instructions",
    build: dict[str, object] | None = None,
) -> Snapshot:
    """The rows, in their order, spread over that many Parquet files. `build` replaces values of BUILD."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = INSTRUCTIONS if kind == "instructions" else PREFERENCES
    size = -(-len(rows) // files) or 1
    for number in range(files):
        table = pa.Table.from_pylist(list(rows[number * size : (number + 1) * size]), schema=schema)
        pq.write_table(table, folder / f"part-{number:03d}.parquet", row_group_size=700)
    return seal_snapshot(folder, kind, {**BUILD, **(build or {})}, roles(kind))


@functools.cache
def roles(kind: Kind) -> MartColumns:
    """The roles of the mart's columns, as the exposure declares them."""
    exposures = yaml.safe_load((DBT_PROJECT / "models" / "marts" / "_exposures.yml").read_text())["exposures"]
    return msgspec.convert(exposures[0]["config"]["meta"][f"{kind.removesuffix('s')}_roles"], MartColumns)


def rows_of_dump(posts_xml: Path, tag: str = "python", since: str = "2020-01-01") -> Iterator[dict[str, Any]]:
    """Accepted pairs of a dump as the mart has them, by question id: tags contain `tag`, answered since that date."""
    posts: dict[int, dict[str, str]] = {}
    for _, element in etree.iterparse(posts_xml, tag="row"):
        posts[int(element.get("Id", "0"))] = {str(name): str(value) for name, value in element.attrib.items()}
        element.clear()
    for question_id, question in sorted(posts.items()):
        answer_id = int(question.get("AcceptedAnswerId", 0))
        answer = posts.get(answer_id)
        if answer is None or tag not in question.get("Tags", "") or answer["CreationDate"] < since:
            continue
        yield row(
            question_id,
            answer_id=answer_id,
            question_title=question["Title"],
            question_body=question["Body"],
            answer_body=answer["Body"],
            tags=[name for name in question["Tags"].replace("><", "|").strip("|<>").split("|") if name],
            question_score=int(question["Score"]),
            answer_score=int(answer["Score"]),
            question_created_at=_time(question["CreationDate"]),
            answer_created_at=_time(answer["CreationDate"]),
        )


def repeated(rows: Sequence[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    """`count` rows: the given ones again and again, each time with ids of their own."""
    for number, one in enumerate(itertools.islice(itertools.cycle(rows), count)):
        shift = number // len(rows) * 10**9
        question_id, answer_id = one["question_id"] + shift, one["answer_id"] + shift
        yield {**one, "question_id": question_id, "answer_id": answer_id, "example_id": f"{question_id}-{answer_id}"}


def _post(post: str, created_at: datetime.datetime, url: str, author: int) -> dict[str, Any]:
    return {
        f"{post}_score": 3,
        f"{post}_created_at": created_at,
        f"{post}_license": "CC BY-SA 4.0",
        f"{post}_license_url": "https://creativecommons.org/licenses/by-sa/4.0/",
        f"{post}_author_id": author,
        f"{post}_author_name": f"Author {author}",
        f"{post}_author_url": f"https://stackoverflow.com/users/{author}",
        f"{post}_url": url,
    }


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
