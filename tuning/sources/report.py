"""Report what an ingest read, kept and dropped."""

from collections import Counter
from dataclasses import dataclass, field

from tuning.sources.origin import Origin
from tuning.sources.parse import READ, Counts
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
    licensed: int = 0  # posts whose license the file states
    other_license: int = 0  # of these, posts whose dates lead to another license
    notes: tuple[str, ...] = ()

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
            lines.append(f"  the license derived from the date differs from the stated license for {differ}")
        lines += [f"  {note}" for note in self.notes]
        lines.append(f"  content sha256 {origin.digest}")
        return [*lines, TERMS] if origin.kind == "stack_exchange" else lines

    def _table_lines(self, table: str, name: str) -> list[str]:
        read = self.counts[table, READ]
        left_out = self.counts[table, OTHER_TAG]
        line = f"  {name}: {read:,} read, {self.rows[table]:,} kept"
        line += f", {left_out:,} of other tags" if left_out else ""
        return [line, *(f"    {n:,} dropped: {reason}" for reason, n in self.dropped(table).items())]
