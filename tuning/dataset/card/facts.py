"""Collect the facts for the dataset card in one pass over attribution.jsonl.

Memory use grows only with the number of distinct tags.
"""

import functools
import re
from collections import Counter
from dataclasses import dataclass, field

import msgspec
import numpy as np

from tuning.answers.suite import has_python_tag
from tuning.dataset.dataset import Split
from tuning.dataset.rows.pairs import plural
from tuning.dataset.workspace.parts import Column
from tuning.gcs.object_file import Source

# Upper bounds of the bins in characters. One more bin contains longer texts.
LENGTH_BINS = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
CC_BY_SA = r"CC BY-SA \d\.\d"
_LONGEST_LICENCE = 80  # characters
_TAGS = 30  # number of tags on the card


@dataclass
class SplitFacts:
    """Hold the facts of one split."""

    rows: int = 0
    quarters: Counter[str] = field(default_factory=Counter)  # answers by quarter, such as 2021-Q3
    question_lengths: list[int] = field(default_factory=list)  # rows in each bin of LENGTH_BINS
    answer_lengths: list[int] = field(default_factory=list)


@dataclass
class CardFacts:
    """Hold the facts of the whole dataset."""

    splits: dict[Split, SplitFacts]
    tags: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)  # number of posts (questions and answers) by licence
    licence_urls: dict[str, str] = field(default_factory=dict)
    redactions: Counter[str] = field(default_factory=Counter)  # placeholders by kind
    redacted_rows: int = 0
    unnamed_posts: int = 0  # posts whose author has a page, but no name in the data
    # Removed or replaced parts by kind, as "removed greetings".
    cleanings: Counter[str] = field(default_factory=Counter)
    cleaned_rows: int = 0
    python_rows: int = 0  # rows with a tag of Python or its libraries
    deceptive: Counter[str] = field(default_factory=Counter)  # examples by character that hides or reorders text

    @property
    def is_about_python(self) -> bool:
        """Return whether at least half of the rows are about Python."""
        return 2 * self.python_rows >= sum(split.rows for split in self.splits.values())

    def other_licences(self) -> dict[str, int]:
        """Return the numbers of posts whose licence is not a version of CC BY-SA, by licence."""
        return {name: posts for name, posts in self.licences.items() if not re.fullmatch(CC_BY_SA, name)}

    def first_tags(self) -> list[tuple[str, int]]:
        """Return the 30 most frequent tags with their numbers of rows."""
        return sorted(self.tags.items(), key=lambda one: (-one[1], one[0]))[:_TAGS]


class _Row(msgspec.Struct):
    """Hold the fields of an Attribution that the card needs."""

    split: Split
    changes: list[str]
    tags: list[str] = []
    answer_created_at: str = ""
    question_author: str = ""
    question_author_url: str = ""
    question_license: str = ""
    question_license_url: str = ""
    answer_author: str = ""
    answer_author_url: str = ""
    answer_license: str = ""
    answer_license_url: str = ""
    rejected_author: str = ""
    rejected_author_url: str = ""
    rejected_license: str = ""
    rejected_license_url: str = ""


def gather(attribution: Source, lengths: dict[Split, tuple[Column, Column]]) -> CardFacts:
    """Return the facts from attribution.jsonl and from the lengths of the texts.

    `lengths` contains, for each split, the numbers of characters of its questions and of its answers. Raises
    TuningError if the file is in Cloud Storage and cannot be read.
    """
    facts = CardFacts({split: SplitFacts() for split in lengths})
    for split, (questions, answers) in lengths.items():
        facts.splits[split].question_lengths = _histogram(questions)
        facts.splits[split].answer_lengths = _histogram(answers)
    decoder = msgspec.json.Decoder(_Row)
    with attribution.open("rb") as file:
        for line in file:
            _count(facts, decoder.decode(line))
    return facts


def _count(facts: CardFacts, row: _Row) -> None:
    split = facts.splits[row.split]
    split.rows += 1
    if row.answer_created_at:
        split.quarters[_quarter(row.answer_created_at)] += 1
    facts.tags.update(row.tags)
    facts.python_rows += has_python_tag(row.tags)
    for name, url in (
        (row.question_license, row.question_license_url),
        (row.answer_license, row.answer_license_url),
        (row.rejected_license, row.rejected_license_url),
    ):
        if name:
            shown = _shown(name)
            facts.licences[shown] += 1
            facts.licence_urls[shown] = url
    for author, page in (
        (row.question_author, row.question_author_url),
        (row.answer_author, row.answer_author_url),
        (row.rejected_author, row.rejected_author_url),
    ):
        facts.unnamed_posts += bool(page and not author)
    redactions = [change.split() for change in row.changes if change.startswith("redacted ")]
    facts.redacted_rows += bool(redactions)
    for _, count, kind in redactions:
        facts.redactions[kind] += int(count)
    cleanings = [change.split(" ", 2) for change in row.changes if change.startswith(("removed ", "replaced "))]
    facts.cleaned_rows += bool(cleanings)
    for verb, count, kind in cleanings:
        facts.cleanings[f"{verb} {plural(kind) if count == '1' else kind}"] += int(count)


@functools.cache
def _shown(licence: str) -> str:
    """Return a licence as stated, without characters that mean something in Markdown or HTML."""
    return re.sub(r"[^\w .,:/+()-]", "?", licence)[:_LONGEST_LICENCE]


def _quarter(time: str) -> str:
    return f"{time[:4]}-Q{(int(time[5:7]) + 2) // 3}"


def _histogram(lengths: Column) -> list[int]:
    counts: list[int] = np.bincount(np.searchsorted(LENGTH_BINS, lengths), minlength=len(LENGTH_BINS) + 1).tolist()
    return counts
