"""Load a Stack Exchange dump into the raw tables, and replace everything in them.

1. Check the dump (`dump`) and find out which site it is from (`sites`).
2. Stream its bytes as blocks of rows (`rows`). With a tag, keep only the rows for that tag (`tag_filter`).
3. Parse the blocks on all cores (`parse`, `workers`) and write Parquet files (`tables`).
4. Load all tables and the origin table, or none of them (`load`).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tuning.errors import TuningError
from tuning.machine import usable_cores
from tuning.progress import progress, stage
from tuning.settings import Settings
from tuning.sources.dump import PARTS, Dump, Part, how_to_add, open_dump
from tuning.sources.load import load_raw, staging
from tuning.sources.origin import CC_BY_SA, Origin
from tuning.sources.parse import Parser, parse_posts, parse_table
from tuning.sources.raw_tables import RawTables
from tuning.sources.report import IngestReport
from tuning.sources.rows import blocks, raw_blocks
from tuning.sources.sites import Site, parse_site
from tuning.sources.tag_filter import TagFilter, checked_tag
from tuning.sources.workers import Parsers
from tuning.warehouse.variables import checked_user_ids


def ingest(
    settings: Settings,
    path: Path,
    site: str = "",
    tag: str = "",
    workers: int | None = None,
    exclude_user: Sequence[int] = (),
) -> IngestReport:
    """Load the dump at `path` into the raw tables, with only the questions and answers of `tag` if it is given.

    Without `site`, the site is the one in the file name, or else Stack Overflow. All users and post links are loaded,
    even with a tag. Builds leave out the posts of the users `exclude_user`, and count them.

    Raises TuningError if an option is invalid, or if the dump cannot be read to its end. The tables then stay as they
    were.
    """
    if workers is not None and workers < 1:
        raise TuningError(f"--workers {workers} is less than 1", "Give a number of at least 1")
    exclude_user = checked_user_ids(exclude_user)
    dump = open_dump(path)
    settled_site = settle_site(dump, site)
    with staging(settings) as folder:
        with stage(f"reading {dump.path.name}", 1, 2):
            report = write_tables(dump, settled_site, tag, folder, workers, exclude_user)
        with stage("loading the tables", 2, 2):
            load_raw(settings, folder, report.origin)
    return report


def settle_site(dump: Dump, given: str) -> Site:
    """Return the site of the dump: `given`, or else the one in the file name, or else Stack Overflow.

    Raises TuningError if `given` is not a site, or if it differs from the file name: the links of all posts would then
    lead to the wrong site.
    """
    site = parse_site(given) if given else dump.site or parse_site("stackoverflow")
    if dump.site and site != dump.site:
        raise TuningError(
            f"{dump.path.name} is named as a dump of {dump.site.host}, but --site is {site.host}",
            "Omit --site, or rename the file",
        )
    return site


def write_tables(
    dump: Dump, site: Site, tag: str, folder: Path, workers: int | None = None, exclude_user: Sequence[int] = ()
) -> IngestReport:
    """Write ``TABLE.parquet`` into `folder` for every table. A table that the dump does not contain is empty.

    Raises TuningError if the dump cannot be read to its end, or if it has no question to load.
    """
    tag = checked_tag(tag) if tag else ""
    tables = RawTables(folder, exclude_user)
    with (
        progress(f"reading {dump.path.name}", dump.size, "bytes") as advance,
        Parsers(workers or usable_cores()) as parsers,
    ):
        for part in dump.parts(advance):
            chunks = part.read(advance)
            if part.kind == "posts" and tag:
                tag_filter = TagFilter(tag, folder)
                kept = tag_filter.keep(raw_blocks(chunks, part.name, part.kind), part.name)
                tables.add_all(parsers.parse(parse_posts, kept))
                tables.counts += tag_filter.counts()
            else:
                tables.add_all(parsers.parse(_parser(part), blocks(chunks, part.name, part.kind)))
    digest = tables.close()
    if not tables.rows("posts_questions"):
        raise TuningError(f"{dump.path.name} has no question{f' with a tag containing {tag}' if tag else ''} to load")
    origin = Origin(
        site=site.host,
        kind="stack_exchange",
        name=site.name,
        base_url=site.base_url,
        license=CC_BY_SA[0],
        license_url=CC_BY_SA[1],
        source=dump.path.name,
        tag_filter=tag,
        digest=digest,
        questions=tables.rows("posts_questions"),
        answers=tables.rows("posts_answers"),
        exclude_user=",".join(map(str, exclude_user)),
    )
    report = tables.report(origin, _notes(dump))
    return replace(report, warning=_warning(dump, report))


def _parser(part: Part) -> Parser:
    return parse_posts if part.kind == "posts" else parse_table(PARTS[part.kind])


def _notes(dump: Dump) -> tuple[str, ...]:
    """Return notes on the files that were read beside `dump.path`, and on missing post links."""
    notes = []
    beside = [file.name for file in dump.files if dump.path.is_file() and file != dump.path]
    if beside:
        notes.append(f"also read: {', '.join(beside)}")
    if "postlinks" not in dump.kinds:
        unknown = "the dump has no post links, so the duplicates that the site knows can be in both splits"
        notes.append(f"{unknown}: {how_to_add(dump, 'PostLinks.xml')}")
    return tuple(notes)


def _warning(dump: Dump, report: IngestReport) -> str:
    """Return what to do about missing names of authors, or an empty string if there are none."""
    if not report.unnamed_authors:
        return ""
    missing = f"Names of authors are missing ({report.unnamed_authors:,}), but the licence (CC BY-SA) asks for them"
    if "users" in dump.kinds:
        return f"{missing}: the users in the dump are incomplete. Get the Users.xml of the same dump as the posts."
    return f"{missing}. To get them, {how_to_add(dump, 'Users.xml')}. Then run `invoke ingest` again."
