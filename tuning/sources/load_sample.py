"""Load the sample data into an empty warehouse, so that you can run everything without downloading a dump."""

import sys
from collections import defaultdict

import pyarrow as pa

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.sources.load import is_loaded, load_raw, staging
from tuning.sources.origin import PSF, Origin
from tuning.sources.parse import READ, Parsed
from tuning.sources.raw_tables import RawTables
from tuning.sources.report import IngestReport
from tuning.sources.sample.rows import Row, sample_rows
from tuning.sources.schemas import arrow_schema

DEFAULT_ROWS = 2500
_SITE = "docs.python.org"


def load_sample(settings: Settings, rows: int = DEFAULT_ROWS) -> IngestReport:
    """Replace the raw tables with at most `rows` questions, generated from the docs of this Python's standard library.

    Raises TuningError if `rows` is less than 1, or if the tables cannot be loaded.
    """
    if rows < 1:
        raise TuningError(f"--rows {rows} is less than 1", "Give a number of at least 1")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with staging(settings) as folder:
        tables = RawTables(folder)
        tables.add_all([_parsed(rows, version)])
        digest = tables.close()
        origin = Origin(
            site=_SITE,
            kind="python_docs",
            name="Python documentation",
            base_url=f"https://{_SITE}/{version}",
            license=PSF[0],
            license_url=PSF[1],
            source=f"standard library of Python {version}",
            tag_filter="",
            digest=digest,
            questions=tables.rows("posts_questions"),
            answers=tables.rows("posts_answers"),
        )
        few = tables.rows("posts_questions") < rows
        notes = (f"fewer than the requested {rows:,} questions: this Python's docs have no more",) if few else ()
        load_raw(settings, folder, origin)
    return tables.report(origin, notes)


def load_sample_if_empty(settings: Settings) -> IngestReport | None:
    """Load the sample if the raw tables do not exist. Return None if they exist, or if the target is not local.

    Raises TuningError if the local BigQuery does not answer, or if the tables cannot be loaded.
    """
    if settings.target != "local" or is_loaded(settings):
        return None
    return load_sample(settings)


def _parsed(rows: int, version: str) -> Parsed:
    by_table: dict[str, list[Row]] = defaultdict(list)
    for question, answers in sample_rows(rows, version):
        by_table["posts_questions"].append(question)
        by_table["posts_answers"] += answers
    parsed = Parsed()
    for table, its_rows in by_table.items():
        parsed.counts[table, READ] += len(its_rows)
        parsed.batches[table] = pa.RecordBatch.from_pylist(its_rows, arrow_schema(table))
    return parsed
