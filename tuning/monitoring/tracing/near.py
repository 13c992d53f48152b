"""Find near copies of a post's text: texts that share at least 80% of their word sequences with it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal, NamedTuple

import pyarrow as pa

from tuning.dataset.dataset import Attribution, Dataset
from tuning.dataset.denied import POST_IDS
from tuning.dataset.formats.codec import question_of
from tuning.dataset.formats.records import Example
from tuning.dataset.markdown.convert import Dropped, convert_all
from tuning.dataset.similar.shingles import THRESHOLD, compared_answer, hash_shingles, similarity
from tuning.dataset.snapshot.snapshot import Snapshot, read_batches
from tuning.warehouse.mart_columns import MartColumns

_ROWS = 256  # whose texts are compared together
Role = Literal["question", "answer"]


class Text(NamedTuple):
    """Hold one text of a post: the title and body of a question, or what is compared of an answer."""

    post_id: int
    role: Role
    text: str


@dataclass(frozen=True)
class Copy:
    """Represent a near copy: another post, the row that has it, and the similarity from 0.8 to 1."""

    post_id: int
    role: Role
    row: str  # example id
    split: str  # empty in a snapshot
    similarity: float


def row_texts(roles: MartColumns, rows: Sequence[dict[str, object]], base_url: str) -> list[list[Text]]:
    """Return the texts of each row of a mart, converted to Markdown as in a dataset."""
    ids = [roles.attribution[name] for name in POST_IDS if name in roles.attribution]
    title, *bodies = roles.texts
    columns = [_markdown([str(row[name] or "") for row in rows], base_url) for name in bodies]
    return [
        _texts([int(str(row[name])) for name in ids], f"{row[title] or ''}\n\n{body}", answers)
        for row, body, *answers in zip(rows, *columns, strict=True)
    ]


def copies_in_snapshot(wanted: Sequence[Text], snapshot: Snapshot) -> Iterator[Copy]:
    """Yield the near copies in a snapshot. Raises TuningError if it cannot be read."""
    roles, base_url = snapshot.roles, str(snapshot.build["base_url"])
    names = {roles.attribution["example_id"], *roles.texts}
    names |= {roles.attribution[name] for name in POST_IDS if name in roles.attribution}
    for batch in read_batches(snapshot.files, sorted(names), _ROWS):
        rows = _rows(batch)
        keys = [(str(row[roles.attribution["example_id"]]), "") for row in rows]
        yield from _similar(wanted, keys, row_texts(roles, rows, base_url))


def copies_in_dataset(wanted: Sequence[Text], dataset: Dataset) -> Iterator[Copy]:
    """Yield the near copies in a dataset. Raises TuningError if it cannot be read."""
    for split in ("train", "eval"):
        pairs = dataset.pairs(split)
        while some := list(islice(pairs, _ROWS)):
            keys = [(attribution.example_id, split) for attribution, _ in some]
            yield from _similar(wanted, keys, example_texts(dataset, some))


def example_texts(dataset: Dataset, pairs: Sequence[tuple[Attribution, Example]]) -> list[list[Text]]:
    """Return the texts of each example as Markdown."""
    manifest = dataset.manifest
    questions = [question_of(manifest.format, manifest.template, example) for _, example in pairs]
    answers = [example.answer for _, example in pairs]
    rejected = [example.rejected or "" for _, example in pairs]
    if manifest.body == "html":
        base_url = str(manifest.build.get("base_url") or "")
        questions, answers, rejected = (_markdown(texts, base_url) for texts in (questions, answers, rejected))
    return [
        _texts([about.question_id, about.answer_id, about.rejected_answer_id], question, [answer, other])
        for (about, _), question, answer, other in zip(pairs, questions, answers, rejected, strict=True)
    ]


def _texts(ids: Sequence[int], question: str, answers: Sequence[str]) -> list[Text]:
    found = [Text(ids[0], "question", question)]
    for post_id, answer in zip(ids[1:], answers, strict=False):
        if answer:
            found.append(Text(post_id, "answer", compared_answer(question, answer)))
    return found


def _similar(
    wanted: Sequence[Text], keys: Sequence[tuple[str, str]], texts: Sequence[Sequence[Text]]
) -> Iterator[Copy]:
    targets = [(one, set(hashes)) for one, hashes in zip(wanted, _hashes(wanted), strict=True)]
    flat = [(key, one) for key, some in zip(keys, texts, strict=True) for one in some]
    for ((row, split), one), hashes in zip(flat, _hashes([one for _, one in flat]), strict=True):
        for target, target_hashes in targets:
            if one.role == target.role and one.post_id != target.post_id:
                share = similarity(target_hashes, set(hashes))
                if share >= THRESHOLD:
                    yield Copy(one.post_id, one.role, row, split, share)
                    break


def _hashes(texts: Iterable[Text]) -> Iterator[list[int]]:
    hashes, offsets = hash_shingles([one.text for one in texts])
    for begin, end in pairwise(offsets):
        yield hashes[begin:end].tolist()


def _markdown(texts: Sequence[str], base_url: str) -> list[str]:
    """Return each HTML text as Markdown. A text that cannot be converted stays as it is."""
    converted = convert_all(list(texts), base_url)
    return [html if isinstance(one, Dropped) else one.markdown for html, one in zip(texts, converted, strict=True)]


def _rows(batch: pa.RecordBatch) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = batch.to_pylist()
    return rows
