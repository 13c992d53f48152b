"""Make the pages of one dataset: where its rows went, what they are like, and all examples with their authors."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup

from tuning.dataset.card.card import as_html
from tuning.dataset.card.facts import LENGTH_BINS, CardFacts, gather
from tuning.dataset.dataset import ATTRIBUTION, MANIFEST, Attribution, Dataset, Manifest, Split
from tuning.dataset.formats.codec import question_of
from tuning.dataset.formats.records import Example
from tuning.dataset.funnel import STEPS
from tuning.evaluation.report import title_of
from tuning.paths import read_whole
from tuning.progress import counted
from tuning.records import unreadable
from tuning.site.charts import Chart, bars, histogram
from tuning.site.highlighting import in_color
from tuning.site.pages import script, write_page
from tuning.site.word_index import WordIndex, packed
from tuning.storage import link_or_copy
from tuning.visible import visible

CARD = "card.html"
PER_PAGE = 100  # examples
MOST = 20_000  # examples with a page and in the search
_SCORES = (0, 1, 2, 5, 10, 20, 50, 100)  # upper bounds of the bins of answer scores
_TAGS = 15
_TITLE = 200  # characters of a title in the search
_POST = ("url", "author", "author_url", "license", "license_url")  # what the page says of each post
SPLITS: tuple[Split, Split] = ("train", "eval")


@dataclass
class _Seen:
    """Collect what the charts and the search need, in one pass over the examples."""

    rows: list[list[Any]] = field(default_factory=list)  # of the search: see `_row`
    words: WordIndex = field(default_factory=WordIndex)  # of the texts of these rows
    lengths: dict[Split, tuple[list[int], list[int]]] = field(
        default_factory=lambda: {split: ([], []) for split in SPLITS}
    )
    scores: dict[Split, Counter[int]] = field(default_factory=lambda: {split: Counter() for split in SPLITS})
    examples: int = 0
    forgotten: int = 0  # examples of posts on the deny list, which no page shows


def dataset_inputs(dataset: Dataset) -> list[bytes]:
    """Return what the pages of a dataset are made from, as bytes: the manifest has the hashes of all examples.

    Raises TuningError if one of its files cannot be read.
    """
    paths = [dataset.folder / name for name in (MANIFEST, CARD) if (dataset.folder / name).exists()]
    try:
        return [read_whole(path) for path in paths]
    except OSError as error:
        again = f"Delete {dataset.folder} and run `invoke dataset` to create the dataset again"
        raise unreadable(error.filename or dataset.folder, error, again) from None


def write_dataset_pages(
    folder: Path, dataset: Dataset, shared: dict[str, Any], denied: frozenset[int] = frozenset()
) -> None:
    """Write the pages of a dataset into `folder`. Examples with a post in `denied` are counted, but not shown.

    Raises TuningError if one of the dataset's files is damaged.
    """
    seen = _Seen()
    for number, page in enumerate(_in_pages(dataset, seen, denied), start=1):
        view = {**shared, "dataset": dataset, "examples": page, "page": number, "pages": _pages(dataset)}
        write_page(folder / f"examples-{number}.html", "examples.html.j2", view)
    has_card = (dataset.folder / CARD).exists() and not seen.forgotten  # the card shows examples too
    if has_card:
        link_or_copy(dataset.folder / CARD, folder / CARD)
    lengths = {split: (np.array(questions), np.array(answers)) for split, (questions, answers) in seen.lengths.items()}
    words, unsearched = seen.words.content()
    facts = gather(dataset.source(ATTRIBUTION), lengths)
    manifest = dataset.manifest
    view = {
        **shared,
        "dataset": dataset,
        "manifest": manifest,
        "facts": facts,
        "funnel": _funnel(manifest),
        "charts": _charts(facts, seen),
        "pages": _pages(dataset),
        "examples": seen.examples,
        "shown": len(seen.rows),
        "forgotten": seen.forgotten,
        "has_card": has_card,
        "rows": packed(msgspec.json.encode(seen.rows)),
        "words": packed(words),
        "unsearched": unsearched,
        "settings": [*sorted(manifest.options.items()), *sorted(manifest.build.items())],
    }
    write_page(folder / "index.html", "dataset.html.j2", view, _datatables(), script("search.js"))


def _datatables() -> str:
    """Return DataTables, which the package `itables` carries, as a script that defines ``DataTable``.

    The package has a module that other modules import. A page without a server cannot import, so the script keeps the
    name that the module exports.
    """
    from importlib.resources import files

    module = files("itables").joinpath("html/dt_bundle.js").read_text(encoding="utf-8")
    exported = re.search(r"export\{[^}]*?(\w+) as default[^}]*\};?", module)
    if exported is None:
        raise ValueError("itables has no DataTables to export")
    return module.replace(exported[0], f"const DataTable = {exported[1]};").replace("</script", "<\\/script")


def _pages(dataset: Dataset) -> int:
    return -(-min(dataset.rows, MOST) // PER_PAGE)


def _in_pages(dataset: Dataset, seen: _Seen, denied: frozenset[int]) -> Iterator[list[dict[str, Any]]]:
    """Yield the examples of each page, and count all examples of the dataset in `seen`."""
    page: list[dict[str, Any]] = []
    for split in SPLITS:
        rows = dataset.manifest.files[f"{split}.jsonl"].rows
        if not dataset.rows:  # else an attribution.jsonl without lines is damaged
            continue
        for about, example in counted(dataset.pairs(split), f"{split}.jsonl", rows, "examples"):
            question = question_of(dataset.manifest.format, dataset.manifest.template, example)
            seen.lengths[split][0].append(len(question))
            seen.lengths[split][1].append(len(example.answer))
            seen.scores[split][_bin(about.answer_score)] += 1
            seen.examples += 1
            if not denied.isdisjoint((about.question_id, about.answer_id, about.rejected_answer_id)):
                seen.forgotten += 1
                continue
            if len(seen.rows) == MOST:
                continue
            seen.words.add(len(seen.rows), "\n".join((question, example.answer, example.rejected or "")))
            seen.rows.append(_row(len(seen.rows) // PER_PAGE + 1, about, question, example))
            page.append(example_view(about, example, title_of(question), dataset.manifest))
            if len(page) == PER_PAGE:
                yield page
                page = []
    if page:
        yield page


def _row(page: int, about: Attribution, question: str, example: Example) -> list[Any]:
    """Return what the search knows of an example: its page, the columns of the table, and its line."""
    return [
        page,
        visible(title_of(question)[:_TITLE]),
        visible(about.example_id),
        visible(" ".join(about.tags)),
        about.split,
        about.answer_score,
        about.answer_created_at[:4],
        len(example.answer),
        about.line + 1,
    ]


def example_view(about: Attribution, example: Example, title: str, manifest: Manifest) -> dict[str, Any]:
    """Return what a page shows of an example: its texts as HTML, and the links of its posts."""
    turns: list[tuple[str, str]] = [(message.role, message.content) for message in example.prompt]
    turns.append(("assistant", example.answer))
    if example.rejected is not None:
        turns.append(("assistant, rejected", example.rejected))
    return {
        "about": about,
        "title": title,
        "turns": [(role, Markup(as_html(text, manifest, in_color))) for role, text in turns],  # noqa: S704 - escaped
        "posts": [
            [kind, *(getattr(about, f"{name}_{field}") for field in _POST)]
            for kind, name in (("question", "question"), ("answer", "answer"), ("rejected answer", "rejected"))
            if getattr(about, f"{name}_license")
        ],
    }


def _funnel(manifest: Manifest) -> Chart:
    """Return how many rows are left after each step, from the posts of the source to the lines of the files."""
    counts: list[tuple[str, int]] = []
    if "questions" in manifest.build:
        counts.append(("questions in the source", int(str(manifest.build["questions"]))))
    read = [row for row in manifest.funnel if row["step"] == "read"]
    left = sum(row["rows"] for row in read)
    counts += [(row["reason"], row["rows"]) for row in read]
    for step in STEPS:
        dropped = sum(row["rows"] for row in manifest.funnel if row["step"] == step)
        if dropped:
            left -= dropped
            counts.append((f"after {step}", left))
    for split in SPLITS:
        counts.append((f"{split}.jsonl", manifest.files[f"{split}.jsonl"].rows))
    return bars("From source rows to lines", "rows", counts)


def _charts(facts: CardFacts, seen: _Seen) -> list[Chart]:
    ends = [f"to {end:,}" for end in LENGTH_BINS] + ["longer"]
    scores = [f"to {bound}" for bound in _SCORES] + ["higher"]
    years = sorted({quarter[:4] for split in facts.splits.values() for quarter in split.quarters})
    by_year = {
        name: [sum(rows for quarter, rows in split.quarters.items() if quarter[:4] == year) for year in years]
        for name, split in facts.splits.items()
    }
    splits = facts.splits.items()
    by_score = {name: [counts[at] for at in range(len(scores))] for name, counts in seen.scores.items()}
    charts = [
        histogram("Question length", "characters", ends, {name: split.question_lengths for name, split in splits}),
        histogram("Answer length", "characters", ends, {name: split.answer_lengths for name, split in splits}),
    ]
    if any(years):  # own data have no times and scores
        charts.append(histogram("Answer score", "score", scores, by_score))
        charts.append(histogram("Year of the answer", "year", years, by_year))
    for title, unit, counts in (
        ("Most frequent tags", "examples", facts.first_tags()[:_TAGS]),
        ("Licences", "posts", sorted(facts.licences.items())),
        ("Redacted", "placeholders", sorted(facts.redactions.items())),
    ):
        if counts:
            charts.append(bars(title, unit, counts))
    return charts


def _bin(score: int) -> int:
    return int(np.searchsorted(np.array(_SCORES), score, "left"))


def listed(datasets: Sequence[Dataset]) -> list[dict[str, Any]]:
    """Return what the list of datasets shows."""
    return [
        {
            "id": one.id,
            "source": one.manifest.source_name,
            "format": one.manifest.format,
            "rows": {split: one.manifest.files[f"{split}.jsonl"].rows for split in SPLITS},
            "read": sum(row["rows"] for row in one.manifest.funnel if row["step"] == "read"),
        }
        for one in datasets
    ]
