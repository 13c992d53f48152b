"""How fast bodies become Markdown, with the check of every one, against converters that check nothing, on one core; and
what each converter gets right.

`bench(data)` is what `invoke bench` calls. By hand: python -m tests.bench.clean_bench ../shared/data
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import html_to_markdown
import markdownify
import py7zr
from lxml import etree

from tests.bench.measure import Row
from tests.dataset.reading import differences, read_markdown
from tuning.dataset.markdown.convert import to_markdown
from tuning.dataset.markdown.languages import name_languages
from tuning.dataset.redact.redact import redact

ARCHIVES = {
    "stackoverflow-python-bodies.7z": "https://stackoverflow.com",
    "cardano.stackexchange.com.7z": "https://cardano.stackexchange.com",
}
OURS, ALONE, WITH_ESCAPES, MARKDOWNIFY = (
    "cleaning with its check",
    "html-to-markdown alone",
    "html-to-markdown with escapes",
    "markdownify",
)
NAMING = "naming the languages of fences"  # a part of cleaning
REDACTION = "redaction"
_EVERY = 8  # bodies are timed, and read for the other converters; ours is read on all of them
_ESCAPES = html_to_markdown.ConversionOptions(
    escape_asterisks=True, escape_underscores=True, escape_misc=True, whitespace_mode="strict"
)

Body = tuple[str, str]  # HTML, base URL
Converter = Callable[[str, str], object]
CONVERTERS: dict[str, Converter] = {
    OURS: to_markdown,
    ALONE: lambda html, base_url: html_to_markdown.convert(html).content or "",
    WITH_ESCAPES: lambda html, base_url: html_to_markdown.convert(html, _ESCAPES).content or "",
    MARKDOWNIFY: lambda html, base_url: markdownify.markdownify(html, heading_style="ATX"),
}


def bench(data: Path, repeat: int = 5) -> list[Row]:
    """Rates of bodies a second and their ratios; counts: bodies kept, and of those, how many come back the same."""
    bodies = [body for archive, base_url in ARCHIVES.items() for body in read_bodies(data / archive, base_url)]
    sample = bodies[::_EVERY]
    redacted = [(text, "") for html, base_url in sample if isinstance(text := to_markdown(html, base_url), str)]
    work = {name: (converter, sample) for name, converter in CONVERTERS.items()}
    others: dict[str, tuple[Converter, Sequence[Body]]] = {
        NAMING: (lambda html, _: name_languages(html), sample),
        REDACTION: (lambda text, _: redact(text), redacted),
    }
    seconds = _seconds({**work, **others}, repeat)
    counts = {name: fidelity(converter, bodies if name == OURS else sample) for name, converter in CONVERTERS.items()}
    rows = [
        Row(
            name,
            baseline,
            "bodies",
            round(len(sample) / seconds[name]),
            round(seconds[baseline] / seconds[name], 2),
            0,
            counts[name],
        )
        for name, baseline in [(OURS, ALONE), (OURS, MARKDOWNIFY), (WITH_ESCAPES, ALONE), (ALONE, MARKDOWNIFY)]
    ]
    found = {REDACTION: {"found": sum(len(redact(text)[1]) for text, _ in redacted)}}
    for name, (_, texts) in others.items():
        rate, ratio = len(texts) / seconds[name], seconds[ALONE] / seconds[name]
        rows.append(Row(name, ALONE, "bodies", round(rate), round(ratio, 2), 0, found.get(name, {})))
    return rows


def fidelity(converter: Converter, bodies: Sequence[Body]) -> dict[str, int]:
    """How many bodies a converter keeps, how many of those come back the same from markdown-it-py, and how many
    backslashes it writes outside code blocks."""
    kept = same = backslashes = 0
    for html, base_url in bodies:
        text = converter(html, base_url)
        if isinstance(text, str):
            kept += 1
            same += not differences(html, text, base_url)
            blocks = read_markdown(text, base_url).blocks
            backslashes += text.count("\\") - sum(block.count("\\") for block in blocks)
    return {"bodies": len(bodies), "kept": kept, "same": same, "backslashes": backslashes}


def read_bodies(archive: Path, base_url: str) -> list[Body]:
    with tempfile.TemporaryDirectory() as folder:
        with py7zr.SevenZipFile(archive) as packed:
            packed.extract(path=folder, targets=["Posts.xml"])
        found = []
        for _, row in etree.iterparse(str(Path(folder) / "Posts.xml"), tag="row"):
            if row.get("PostTypeId") in ("1", "2"):
                found.append((row.get("Body") or "", base_url))
            row.clear()
    return found


def _seconds(work: dict[str, tuple[Converter, Sequence[Body]]], repeat: int) -> dict[str, float]:
    """Medians of this process's own time; all take turns. Both so that others on the machine count less."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeat):
        for name, (converter, bodies) in work.items():
            start = time.process_time()
            for html, base_url in bodies:
                converter(html, base_url)
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


if __name__ == "__main__":
    for one in bench(Path(sys.argv[1])):
        print(json.dumps(one.as_json()))
