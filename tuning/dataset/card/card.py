"""Write the dataset card: README.md for Hugging Face, and card.html, which has no scripts or external resources."""

import functools
import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tuning.dataset.card.facts import LENGTH_BINS, CardFacts
from tuning.dataset.card.notice import SYNTHETIC
from tuning.dataset.card.preferences import SIMILARITY_BINS, PairFacts
from tuning.dataset.dataset import Manifest, Split
from tuning.dataset.filters import Reason
from tuning.dataset.formats.limits import example_tokens
from tuning.dataset.funnel import Dropped, FunnelRow
from tuning.dataset.split.texts import Shown
from tuning.storage import write_bytes
from tuning.visible import visible

# Names of the splits on Hugging Face: https://huggingface.co/docs/hub/datasets-manual-configuration
SPLIT_FILES = {"train": "train.jsonl", "evaluation": "eval.jsonl"}
Code = Callable[[str, str, str], str]  # takes a code block, its language and attributes; returns HTML, or ""
_WIDTH, _HEIGHT = 700, 150  # of the bars of a chart, in SVG units


def write_card(
    folder: Path,
    manifest: Manifest,
    facts: CardFacts,
    dropped: Sequence[Dropped],
    shown: Sequence[Shown],
    pairs: PairFacts | None = None,
) -> None:
    """Write README.md and card.html to the folder. `shown` are the examples to render in card.html.

    `pairs` compares the two answers of each example of a preference format.
    """
    view = {
        "manifest": manifest,
        "title": _title(manifest, facts),
        "is_about_python": facts.is_about_python,
        "is_own": is_own(manifest),
        "synthetic": SYNTHETIC,
        "files": SPLIT_FILES,
        "front_matter": _front_matter(manifest, facts),
        "limit_note": _limit_note(manifest),
        "split_description": _split_description(manifest.options, manifest.funnel),
        "splits": facts.splits,
        "charts": _charts(facts, pairs),
        "pairs": pairs,
        "tags": facts.first_tags(),
        "licences": sorted(facts.licences.items()),
        "licence_urls": facts.licence_urls,
        "redactions": sorted(facts.redactions.items()),
        "redacted_rows": facts.redacted_rows,
        "cleanings": sorted(facts.cleanings.items()),
        "cleaned_rows": facts.cleaned_rows,
        "deceptive": [(_described(character), rows) for character, rows in sorted(facts.deceptive.items())],
        "dropped": dropped,
        "examples": [_rendered(one, manifest) for one in shown],
        "settings": [*sorted(manifest.options.items()), *sorted(manifest.build.items()), *manifest.versions.items()],
    }
    readme = re.sub(r"\n{3,}", "\n\n", _render("README.md.j2", view))  # where a part of the template is empty
    write_bytes(folder / "README.md", readme.encode())
    write_bytes(folder / "card.html", _render("card.html.j2", view).encode())


def _title(manifest: Manifest, facts: CardFacts) -> str:
    if is_own(manifest):
        return "Own data"
    what = "Python questions and answers" if facts.is_about_python else "Questions and answers"
    return f"{what} of {manifest.build['name']}"


def is_own(manifest: Manifest) -> bool:
    """Return whether the dataset was made of a user's own files."""
    return manifest.build["kind"] == "own"


def _described(character: str) -> str:
    """Return the number and the name of a character."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'control character').lower()}"


def _front_matter(manifest: Manifest, facts: CardFacts) -> str:
    import yaml

    rows = sum(split.rows for split in facts.splits.values())
    tags = ["code", "python"] if facts.is_about_python else ["stack-exchange"]
    data_files = [{"split": split, "path": path} for split, path in SPLIT_FILES.items()]
    licence = {"license": "cc-by-sa-4.0"}
    if facts.other_licences():
        licence = {"license": "other", "license_name": "several, see NOTICE.md", "license_link": "NOTICE.md"}
    if is_own(manifest):
        licence = {}  # only its user knows it
    elif manifest.build["kind"] != "stack_exchange":
        name, link = str(manifest.build["license"]), str(manifest.build["license_url"])
        licence = {"license": "other", "license_name": name, "license_link": link}
        if name == "Apache-2.0":
            licence = {"license": "apache-2.0"}
    text: str = yaml.safe_dump(
        {
            "pretty_name": _title(manifest, facts),
            **licence,
            **({} if is_own(manifest) else {"language": ["en"]}),
            "task_categories": ["text-generation", "question-answering"],
            **({} if is_own(manifest) else {"tags": tags}),
            "size_categories": [_size_category(rows)],
            "configs": [{"config_name": "default", "data_files": data_files}],
        },
        sort_keys=False,
        allow_unicode=True,
    )
    return text


def _size_category(rows: int) -> str:
    """Return the size category of Hugging Face, such as ``1K<n<10K``."""
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for bound, name in bounds if rows < bound), "1M<n<10M")


def _limit_note(manifest: Manifest) -> str:
    """Return which limit an example was over, or "" if none was."""
    if all(row["reason"] != Reason.TOO_LONG for row in manifest.funnel):
        return ""
    limit = example_tokens(manifest.format)
    return f"Over the token limit: an example of the format {manifest.format} can have {limit:,} tokens."


def _split_description(options: dict[str, object], funnel: Sequence[FunnelRow]) -> str:
    share = f"{float(str(options['eval_fraction'])):.0%}"
    if options["preset"] == "seed":
        return (
            f"scikit-learn's train_test_split, applied to the rows in order of question id, with {share} for"
            " evaluation. The rows keep the order that it returns."
        )
    if options["split"] == "evaluation":
        return "all rows are for evaluation."
    groups = "Questions that are linked as duplicates or nearly the same are always in the same split."
    if any(row["step"] == "split" for row in funnel):
        groups += " For this, training rows were dropped, which the table counts."
    match options["split"]:
        case "time":
            return f"questions answered on {options['split_date']} or later are for evaluation. {groups}"
        case "given":
            return f"as the user's files say. {groups}"
        case "random":
            return f"scikit-learn's GroupShuffleSplit, with {share} of the groups for evaluation. {groups}"
        case _:
            return (
                f"by a hash of the question id, with about {share} for evaluation. {groups} A group is in the split of"
                " its smallest question id, so new rows move old ones only if they join two groups."
            )


def _charts(facts: CardFacts, pairs: PairFacts | None) -> list[dict[str, Any]]:
    ends = [f"up to {end:,}" for end in LENGTH_BINS] + ["longer"]
    quarters = sorted({quarter for split in facts.splits.values() for quarter in split.quarters})
    by_quarter = {name: [split.quarters[quarter] for quarter in quarters] for name, split in facts.splits.items()}
    charts = [
        _chart("Question length in characters", ends, {n: s.question_lengths for n, s in facts.splits.items()}),
        _chart("Answer length in characters", ends, {n: s.answer_lengths for n, s in facts.splits.items()}),
        *([_chart("Answers by quarter", quarters, by_quarter)] if quarters else []),
    ]
    if pairs:
        bounds = [f"below {bound}" for bound in SIMILARITY_BINS] + ["more"]
        charts.append(_chart("Similarity of the better and the worse answer", bounds, pairs.histograms))
    return charts


def _chart(title: str, labels: Sequence[str], rows: dict[Split, list[int]]) -> dict[str, Any]:
    """Return a bar chart with each split's bars side by side, as shares of its rows, and with as many labels as fit."""
    shares = {split: [count / max(1, sum(counts)) for count in counts] for split, counts in rows.items()}
    most = max((share for one in shares.values() for share in one), default=0) or 1
    step = _WIDTH / max(1, len(labels))
    width = step * 0.8 / len(rows)
    bars = [
        {
            "split": split,
            "label": label,
            "rows": rows[split][at],
            "x": round(at * step + step * 0.1 + side * width, 1),
            "y": round(160 - shares[split][at] / most * _HEIGHT, 1),
            "width": round(width, 1),
            "height": round(shares[split][at] / most * _HEIGHT, 1),
        }
        for side, split in enumerate(rows)
        for at, label in enumerate(labels)
    ]
    label_step = -(-len(labels) // 10) or 1
    shown = [{"x": round((at + 0.5) * step, 1), "text": labels[at]} for at in range(0, len(labels), label_step)]
    return {"title": title, "bars": bars, "labels": shown}


def _rendered(shown: Shown, manifest: Manifest) -> dict[str, Any]:
    from markupsafe import Markup

    turns: list[tuple[str, str]] = [(message.role, message.content) for message in shown.example.prompt]
    turns.append(("assistant", shown.example.answer))
    if shown.example.rejected is not None:
        turns.append(("assistant, rejected", shown.example.rejected))
    rendered = [(role, Markup(as_html(text, manifest))) for role, text in turns]  # noqa: S704 - raw HTML is escaped
    return {"example_id": shown.example_id, "url": shown.url, "turns": rendered}


def as_html(text: str, manifest: Manifest, code: Code | None = None) -> str:
    """Render a text as HTML. HTML inside Markdown is escaped. An image becomes a link, so the page loads nothing.

    ``code(text, language, attributes)`` returns a code block as HTML, or "" for the default.
    """
    from tuning.dataset.markdown.convert import Dropped, to_markdown

    if manifest.body == "html":
        markdown = to_markdown(text, str(manifest.build["base_url"]))
        if isinstance(markdown, Dropped):
            return f"<pre>{html.escape(text)}</pre>"
        text = markdown
    rendered: str = _parser(code).render(text)
    return rendered


@functools.cache
def _parser(code: Code | None) -> Any:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "highlight": code})
    return parser.enable(["table", "strikethrough"]).disable("image")


def _render(name: str, view: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("tuning.dataset.card", "templates"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return visible(environment.get_template(name).render(**view))
