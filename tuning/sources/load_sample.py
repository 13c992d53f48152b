"""Load the sample that was written for this project, so that you can run everything without downloading a dump."""

from collections import defaultdict

import pyarrow as pa

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.sources.load import is_loaded, load_raw, staging
from tuning.sources.origin import APACHE, Origin
from tuning.sources.parse import READ, Parsed
from tuning.sources.raw_tables import RawTables
from tuning.sources.report import IngestReport
from tuning.sources.sample.rows import Row, sample_rows
from tuning.sources.schemas import arrow_schema

# No website has these posts. So their base address is a URN, which only names them and cannot be opened.
_SITE, _BASE_URL = "python-qa-tuning", "urn:python-qa-tuning"


def load_sample(settings: Settings, rows: int | None = None) -> IngestReport:
    """Replace the raw tables with the questions and answers of the sample, or with the first `rows` questions.

    Raises TuningError if `rows` is less than 1, or if the tables cannot be loaded.
    """
    if rows is not None and rows < 1:
        raise TuningError(f"--rows {rows} is less than 1", "Give a number of at least 1")
    with staging(settings) as folder:
        tables = RawTables(folder)
        tables.add_all([_parse(rows)])
        digest = tables.close()
        questions = tables.rows("posts_questions")
        origin = Origin(
            site=_SITE,
            kind="synthetic",
            name="the sample of python-qa-tuning",
            base_url=_BASE_URL,
            license=APACHE[0],
            license_url=APACHE[1],
            source="questions and answers written for this project",
            tag_filter="",
            digest=digest,
            questions=questions,
            answers=tables.rows("posts_answers"),
        )
        notes = (
            (f"fewer than the requested {rows:,} questions: the sample has no more",)
            if rows and questions < rows
            else ()
        )
        load_raw(settings, folder, origin)
    return tables.report(origin, notes)


def load_sample_if_empty(settings: Settings) -> IngestReport | None:
    """Load the sample if the raw tables of the local BigQuery do not exist. Return None if they exist.

    Raises TuningError if the local BigQuery does not answer, or if the tables cannot be loaded.
    """
    if is_loaded(settings):
        return None
    return load_sample(settings)


def _parse(questions: int | None) -> Parsed:
    by_table: dict[str, list[Row]] = defaultdict(list)
    for question, answers in sample_rows(questions):
        by_table["posts_questions"].append(question)
        by_table["posts_answers"] += answers
    parsed = Parsed()
    for table, rows in by_table.items():
        parsed.counts[table, READ] += len(rows)
        parsed.batches[table] = pa.RecordBatch.from_pylist(rows, arrow_schema(table))
    return parsed
