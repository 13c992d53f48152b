"""Load a Stack Exchange dump into the raw tables, which then hold that dump and nothing else.

1. look at the dump (`dump`), settle which site it is of (`sites`);
2. stream its bytes as blocks of rows (`rows`), with a tag only what belongs to it (`tagged`);
3. parse the blocks on all cores (`parse`, `workers`), write Parquet (`tables`);
4. load all tables or none, and the origin beside them.
"""

from pathlib import Path

from tuning.errors import TuningError
from tuning.progress import progress
from tuning.settings import Settings
from tuning.sources.dump import PARTS, Dump, Part, open_dump
from tuning.sources.load import load_raw, staging
from tuning.sources.origin import CC_BY_SA, Origin
from tuning.sources.parse import Parser, parse_posts, parse_table
from tuning.sources.raw_tables import RawTables
from tuning.sources.report import IngestReport
from tuning.sources.rows import blocks, raw_blocks
from tuning.sources.sites import Site, parse_site
from tuning.sources.tag_filter import TagFilter, checked_tag
from tuning.sources.workers import Parsers, worker_count


def ingest(settings: Settings, path: Path, site: str = "", tag: str = "", workers: int | None = None) -> IngestReport:
    """Load the dump at `path`, of `site` (else what its name says, else Stack Overflow), restricted to `tag` if given.

    Users and post links are loaded as they are, whatever the tag. Where the dump cannot be read to its end, this raises
    TuningError and leaves what was loaded before.
    """
    if workers is not None and workers < 1:
        raise TuningError(f"--workers {workers}: at least one has to work")
    dump = open_dump(path)
    its_site = settle_site(dump, site)
    with staging(settings) as folder:
        report = write_tables(dump, its_site, tag, folder, workers)
        load_raw(settings, folder, report.origin)
    return report


def settle_site(dump: Dump, given: str) -> Site:
    """Raises TuningError where the file's name and the option disagree: a post must never point at another site."""
    site = parse_site(given) if given else dump.site or parse_site("stackoverflow")
    if dump.site and site != dump.site:
        raise TuningError(
            f"{dump.path.name} is named as a dump of {dump.site.host}, --site says {site.host}",
            "Leave --site out, or rename the file",
        )
    return site


def write_tables(dump: Dump, site: Site, tag: str, folder: Path, workers: int | None = None) -> IngestReport:
    """Write ``TABLE.parquet`` for every table of a dump into `folder`; tables that it lacks are empty."""
    tag = checked_tag(tag) if tag else ""
    tables = RawTables(folder)
    with (
        progress(f"reading {dump.path.name}", dump.size, "bytes") as advance,
        Parsers(workers or worker_count()) as parsers,
    ):
        for part in dump.parts():
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
    )
    return tables.report(origin, _notes(dump))


def _parser(part: Part) -> Parser:
    return parse_posts if part.kind == "posts" else parse_table(PARTS[part.kind])


def _notes(dump: Dump) -> tuple[str, ...]:
    """What a person may have expected to be loaded, and was not."""
    absent = [name for kind, name in (("users", "users"), ("postlinks", "post links")) if kind not in dump.kinds]
    return (f"the dump has no {' and no '.join(absent)}",) if absent else ()
