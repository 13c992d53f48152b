"""Write the Parquet files of all tables of a dump, and count the rows that are kept and dropped."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap64

from tuning.sources.origin import Origin
from tuning.sources.parse import Parsed
from tuning.sources.reading.xml_rows import Counts
from tuning.sources.report import IngestReport
from tuning.sources.tables import SeenIds, TableFile, combined_digest, ids_of

DUMP_TABLES = ("posts_questions", "posts_answers", "users", "post_links")
DUPLICATE = "duplicate Id"
_POSTS = ("posts_questions", "posts_answers")
# The rules of dbt_project/macros/rules.sql, which leave out these posts in every build. See exclusion_reason there.
FABRICATED, BOT, CHOSEN = "not posts of the site (fabricated rows)", "by bots", "by users to exclude"
RESTRICTED = "under a licence that forbids commercial use or changes (NC, ND)"
_RESTRICTED = r"(?i)\b(?:nc|nd|non-?commercial|no-?deriv\w*)\b"
_FIRST_FABRICATED_ID = 1_000_000_000
_COMMUNITY = -1


class RawTables:
    """Write ``TABLE.parquet`` into `folder` for each of DUMP_TABLES, even for a table without rows.

    Posts that dbt leaves out are written too, so that its funnel can count them.
    """

    def __init__(self, folder: Path, exclude_user: Sequence[int] = ()) -> None:
        self.counts: Counts = Counter()
        self._exclude_user = pa.array(exclude_user, pa.int64())
        self._excluded: Counts = Counter()
        self._files = {table: TableFile(folder, table) for table in DUMP_TABLES}
        posts = SeenIds()  # an ID is unique among questions and answers together
        self._seen = {"posts_questions": posts, "posts_answers": posts, "users": SeenIds(), "post_links": SeenIds()}
        self._accepted = BitMap64()
        self._answers = BitMap64()
        self._authors = BitMap64()  # whose name is not in the row
        self._licensed = self._other_license = self._unknown_license = 0

    def rows(self, table: str) -> int:
        """Return the number of rows written for a table so far."""
        return self._files[table].rows

    def add_all(self, parsed: Iterable[Parsed]) -> None:
        """Write the parsed rows, except rows whose ID was already written. Add up their counts."""
        for part in parsed:
            self._add(part)

    def close(self) -> str:
        """Finish all files and return the digest of their content."""
        return combined_digest([f"{table} {file.close()}" for table, file in self._files.items()])

    def report(self, origin: Origin, notes: tuple[str, ...]) -> IngestReport:
        """Return the report of everything that was added. `notes` are extra lines for the user."""
        return IngestReport(
            origin=origin,
            rows={table: self.rows(table) for table in DUMP_TABLES},
            counts=self.counts,
            dangling_accepted=len(self._accepted - self._answers),
            licensed=self._licensed,
            other_license=self._other_license,
            unknown_license=self._unknown_license,
            excluded=self._excluded,
            unnamed_authors=len(self._authors - self._seen["users"].ids),
            notes=notes,
        )

    def _add(self, parsed: Parsed) -> None:
        self.counts += parsed.counts
        self._licensed += parsed.licensed
        self._other_license += parsed.other_license
        self._unknown_license += parsed.unknown_license
        for table, batch in parsed.batches.items():
            kept = self._seen[table].first_only(batch)
            if kept.num_rows < batch.num_rows:
                self.counts[table, DUPLICATE] += batch.num_rows - kept.num_rows
            if table == "posts_questions":
                accepted = kept.column("accepted_answer_id")
                self._accepted |= BitMap64(ids_of(accepted.filter(pc.greater(accepted, 0))))
            elif table == "posts_answers":
                self._answers |= BitMap64(ids_of(kept.column("id")))
            if table in _POSTS:
                self._count_authors(table, kept)
            self._files[table].add(kept)

    def _count_authors(self, table: str, posts: pa.RecordBatch) -> None:
        """Count the posts that dbt leaves out, and remember the authors whose names are in another table."""
        author = posts.column("owner_user_id")
        self._authors |= BitMap64(ids_of(author.filter(posts.column("owner_display_name").is_null())))
        is_fabricated = pc.and_(
            pc.equal(author, _COMMUNITY), pc.greater_equal(posts.column("id"), _FIRST_FABRICATED_ID)
        )
        is_bot = pc.less(author, _COMMUNITY)
        is_chosen = pc.is_in(author, self._exclude_user)
        is_restricted = pc.match_substring_regex(posts.column("content_license"), _RESTRICTED)
        masks = {FABRICATED: is_fabricated, BOT: is_bot, CHOSEN: is_chosen, RESTRICTED: is_restricted}
        for reason, mask in masks.items():
            if number := pc.sum(mask).as_py():
                self._excluded[table, reason] += number
