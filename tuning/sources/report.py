"""Report what an ingest read, kept and dropped."""

from collections import Counter
from dataclasses import dataclass, field

from tuning.sources.origin import Origin
from tuning.sources.parse import READ
from tuning.sources.reading.xml_rows import JOINED, MENDED_ROWS, REPLACED, Counts
from tuning.sources.tag_filter import OTHER_TAG

TERMS = (
    "Since July 2024, the download page of the dumps has terms against training models on that file. "
    "The 2022 copy in BigQuery predates these terms."
)
_NAMES = {
    "posts_questions": "questions",
    "posts_answers": "answers",
    "users": "users",
    "post_links": "post links",
}


@dataclass(frozen=True)
class IngestReport:
    """Hold the numbers of rows that were loaded, by table, and of rows that were not.

    The keys of `counts` are pairs: the table or post type, and "read" or the reason why rows were dropped.
    """

    origin: Origin
    rows: dict[str, int]
    counts: Counts = field(default_factory=Counter)
    dangling_accepted: int = 0  # accepted answers that are not in the file
    licensed: int = 0  # posts whose licence the file states
    other_license: int = 0  # of these, posts whose dates lead to another license
    unknown_license: int = 0  # posts that state something else than a version of CC BY-SA
    excluded: Counts = field(default_factory=Counter)  # loaded posts that no build keeps, by table and reason
    unnamed_authors: int = 0  # authors whose names are neither in their posts nor among the users
    notes: tuple[str, ...] = ()
    warning: str = ""  # what is missing for attribution, and how to get it

    def dropped(self, table: str) -> dict[str, int]:
        """Return the number of dropped rows by reason, without those dropped because of the tag."""
        return {
            what: n
            for (name, what), n in sorted(self.counts.items())
            if name == table and what not in (READ, OTHER_TAG)
        }

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        origin = self.origin
        lines = [f"{origin.source}: {origin.name} ({origin.base_url}), {origin.license}"]
        for table, name in _NAMES.items():
            lines += self._table_lines(table, name)
        lines += [f"  {n:,} posts dropped: {reason}" for reason, n in self.dropped("posts").items()]
        lines += [
            f"  {n:,} {name} read but not loaded"
            for (name, what), n in sorted(self.counts.items())
            if name not in _NAMES and what == READ
        ]
        if self.dangling_accepted:
            lines.append(f"  {self.dangling_accepted:,} accepted answers are missing from the file")
        if self.licensed:
            differ = f"{self.other_license:,} of {self.licensed:,} posts"
            lines.append(f"  the licence derived from the date differs from the stated licence for {differ}")
        if self.unknown_license:
            lines.append(f"  {self.unknown_license:,} posts state another license than CC BY-SA: it stays as stated")
        if self.counts[MENDED_ROWS]:
            lines.append(self._mended_line())
        lines += [f"  {note}" for note in self.notes]
        lines.append(f"  content sha256 {origin.digest}")
        lines += [TERMS] if origin.kind == "stack_exchange" else []
        return [*lines, self.warning] if self.warning else lines

    def _table_lines(self, table: str, name: str) -> list[str]:
        read = self.counts[table, READ]
        left_out = self.counts[table, OTHER_TAG]
        line = f"  {name}: {read:,} read, {self.rows[table]:,} kept"
        line += f", {left_out:,} of other tags" if left_out else ""
        return [
            line,
            *(f"    {n:,} dropped: {reason}" for reason, n in self.dropped(table).items()),
            *(
                f"    {n:,} left out of every build: {reason}"
                for (name, reason), n in sorted(self.excluded.items())
                if name == table
            ),
        ]

    def _mended_line(self) -> str:
        replaced, joined = self.counts[REPLACED], self.counts[JOINED]
        line = f"  {replaced + joined:,} characters that XML forbids were mended in {self.counts[MENDED_ROWS]:,} rows"
        return f"{line} (replaced by U+FFFD: {replaced:,}; surrogate pairs joined: {joined:,})"
