"""How fast and in how much memory a snapshot becomes a dataset, against the notebook's pandas, conversion alone,
datasketch and json.

`bench(data)` is what `invoke bench` calls. Rows are the accepted pairs of ``stackoverflow-python-bodies.7z``: repeated
with new ids for the seed preset, which keeps duplicates; with their letters shifted, which leaves lengths and structure
and makes every copy another text, for the rest.
"""

import multiprocessing
import re
import string
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import py7zr
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.measure import Measured, Row, Subject, measure, row
from tests.marts import BUILD, INSTRUCTIONS, repeated, roles, rows_of_dump
from tuning.dataset.snapshot.snapshot import seal_snapshot

SEED_ROWS = 300_000
COPIES = 10  # of the pairs with other letters: enough that the start of workers counts as little as in a real run
_MODULE = "tests.bench.dataset_subjects"
_BASELINES = "tests.bench.dataset_baselines"
_NEEDED = ["question_id", "input_text", "output_text"]
_TAG_OR_ENTITY = re.compile(r"<[^>]*>|&\w+;")


def bench(data: Path, repeat: int = 5) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="dataset-bench-") as folder:
        # Apart: a process passes its own peak of memory on to those that it starts.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
            pairs = apart.submit(make_snapshots, data, Path(folder)).result()
        small, large, once, often = (str(Path(folder) / name) for name in ("small", "large", "once", "often"))
        return [
            *_seed(large, repeat),
            *_default(often, pairs * COPIES, repeat),
            *_on_ray(often, pairs * COPIES, repeat),
            *_against("near-duplicate bands", "rensa_bands", {"datasketch": "datasketch_bands"}, once, repeat),
            *_against("writing lines", "lines_by_orjson", {"json": "lines_by_json"}, once, repeat),
            _memory("seed preset", "to_jsonl", small, large, 1, "seed"),
            _memory("export's digest", "digest", small, large),
            _index(once, often, pairs),
        ]


def make_snapshots(data: Path, folder: Path) -> int:
    """Write all that is measured; returns the number of real pairs."""
    rows = _pairs(data, folder)
    _snapshot(folder / "small", repeated(rows, SEED_ROWS // 10))
    _snapshot(folder / "large", repeated(rows, SEED_ROWS))
    _snapshot(folder / "once", rows)
    _snapshot(folder / "often", _shifted(rows, COPIES))
    return len(rows)


def _seed(snapshot: str, repeat: int) -> list[Row]:
    ours, all_columns, needed, whole = measure(
        [
            Subject("seed preset to JSONL", f"{_MODULE}:to_jsonl", (snapshot, 2, "seed")),
            Subject("the notebook's pandas", f"{_BASELINES}:notebook", (snapshot, [])),
            Subject("pandas reading three columns", f"{_BASELINES}:notebook", (snapshot, _NEEDED)),
            Subject("seed preset with leak check and card", f"{_MODULE}:whole", (snapshot, 2, "seed")),
        ],
        repeat,
    )
    baselines = [row(ours, baseline, SEED_ROWS, "pairs") for baseline in (all_columns, needed)]
    return [*baselines, row(whole, all_columns, SEED_ROWS, "pairs")]


def _default(snapshot: str, pairs: int, repeat: int) -> list[Row]:
    """The default pass per core, what a second worker gains, and all of it with what comes after the pass."""
    one, two, whole, alone = measure(
        [
            Subject("default pass to JSONL, 1 worker", f"{_MODULE}:to_jsonl", (snapshot, 1)),
            Subject("default pass to JSONL, 2 workers", f"{_MODULE}:to_jsonl", (snapshot, 2)),
            Subject("default with leak check and card", f"{_MODULE}:whole", (snapshot, 1)),
            Subject("html-to-markdown alone", f"{_BASELINES}:conversion_alone", (snapshot,)),
        ],
        repeat,
    )
    return [row(one, alone, pairs, "pairs"), row(two, one, pairs, "pairs"), row(whole, alone, pairs, "pairs")]


def _on_ray(snapshot: str, pairs: int, repeat: int) -> list[Row]:
    """The default pass with Ray started on this machine, against the local engine with as many workers."""
    if find_spec("ray") is None:
        return []
    rows = []
    for workers in (1, 2):
        name = f"default pass to JSONL, {workers} worker{'s' if workers > 1 else ''}"
        ray, local = measure(
            [
                Subject(f"{name} on Ray", f"{_MODULE}:to_jsonl", (snapshot, workers, "", "ray")),
                Subject(name, f"{_MODULE}:to_jsonl", (snapshot, workers)),
            ],
            repeat,
        )
        rows.append(row(ray, local, pairs, "pairs"))
    return rows


def _against(name: str, ours: str, baselines: dict[str, str], snapshot: str, repeat: int) -> list[Row]:
    subjects = [Subject(shown, f"{_BASELINES}:{function}", (snapshot,)) for shown, function in baselines.items()]
    measured, *others = measure([Subject(name, f"{_MODULE}:{ours}", (snapshot,)), *subjects], repeat)
    amount = next(iter(measured.counts.values()))
    return [row(measured, other, amount, "texts") for other in others]


def _memory(name: str, function: str, once: str, often: str, *arguments: Any) -> Row:
    """`ratio` is the peak at 1 time the rows over that at 10 times: 1 where memory does not grow."""
    shown = f"{name} memory at 10x rows"
    subjects = [Subject(shown, f"{_MODULE}:{function}", (path, *arguments)) for path in (once, often)]
    small, large = measure(subjects, 3)
    return Row(shown, "1x rows", "rows", _rate(large, SEED_ROWS), round(small.peak / large.peak, 2), large.peak, {})


def _index(once: str, often: str, pairs: int) -> Row:
    """`ratio` is 2 KB a row over the bytes a row that the default pass takes more for each row more."""
    name = "near-duplicate index, bytes a row"
    small, large = measure([Subject(name, f"{_MODULE}:whole", (path, 1)) for path in (once, often)], 3)
    more = max(1, large.peak - small.peak) / (pairs * (COPIES - 1))
    return Row(name, "2 KB a row", "rows", _rate(large, pairs * COPIES), round(2048 / more, 2), large.peak, {})


def _rate(measured: Measured, amount: int) -> float:
    return round(amount / measured.seconds, 1)


def _pairs(data: Path, folder: Path) -> list[dict[str, Any]]:
    with py7zr.SevenZipFile(data / "stackoverflow-python-bodies.7z") as archive:
        archive.extractall(folder)
    return list(rows_of_dump(folder / "Posts.xml"))


def _shifted(rows: Sequence[dict[str, Any]], copies: int) -> Iterator[dict[str, Any]]:
    lower, upper = string.ascii_lowercase, string.ascii_uppercase
    for number, one in enumerate(repeated(rows, len(rows) * copies)):
        by = number // len(rows)
        table = str.maketrans(lower + upper, lower[by:] + lower[:by] + upper[by:] + upper[:by])
        texts = {name: _shift(one[name], table) for name in ("question_title", "question_body", "answer_body")}
        yield {**one, **texts}


def _shift(html: str, table: dict[int, int]) -> str:
    kept = _TAG_OR_ENTITY.findall(html)
    texts = _TAG_OR_ENTITY.split(html)
    return "".join(text.translate(table) + tag for text, tag in zip(texts, [*kept, ""], strict=True))


def _snapshot(folder: Path, rows: Sequence[dict[str, Any]] | Iterator[dict[str, Any]]) -> None:
    folder.mkdir()
    with pq.ParquetWriter(folder / "part-0.parquet", INSTRUCTIONS) as writer:
        batch: list[dict[str, Any]] = []
        for one in rows:
            batch.append(one)
            if len(batch) == 20_000:
                writer.write_table(pa.Table.from_pylist(batch, schema=INSTRUCTIONS))
                batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema=INSTRUCTIONS))
    seal_snapshot(folder, "instructions", BUILD, roles("instructions"))
