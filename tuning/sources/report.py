"""What an ingest read, kept and dropped, for a person."""

from collections import Counter
from dataclasses import dataclass, field

from tuning.sources.origin import Origin
from tuning.sources.parse import READ, Counts
from tuning.sources.tag_filter import OTHER_TAG

TERMS = (
    "Since July 2024 the page that hands out the dumps sets terms against training models on that file; "
    "the 2022 copy in BigQuery predates them."
)
_NAMES = {
    "posts_questions": "questions",
    "posts_answers": "answers",
    "users": "users",
    "post_links": "post links",
}


@dataclass(frozen=True)
class IngestReport:
    """Rows loaded by table, and why others were not. `counts` is by (table or post type, "read" or a reason)."""

    origin: Origin
    rows: dict[str, int]
    counts: Counts = field(default_factory=Counter)
    dangling_accepted: int = 0  # accepted answers that are not in the file
    licensed: int = 0  # posts whose licence the file states
    other_license: int = 0  # of these, posts whose dates give another licence than stated
    notes: tuple[str, ...] = ()

    def dropped(self, table: str) -> dict[str, int]:
        """Number of rows by reason, for reasons other than the tag."""
        return {
            what: n
            for (name, what), n in sorted(self.counts.items())
            if name == table and what not in (READ, OTHER_TAG)
        }

    def lines(self) -> list[str]:
        origin = self.origin
        lines = [f"{origin.source}: {origin.name} ({origin.base_url}), {origin.license}"]
        for table, name in _NAMES.items():
            lines += self._table_lines(table, name)
        lines += [f"  {n:,} posts dropped: {reason}" for reason, n in self.dropped("posts").items()]
        lines += [
            f"  {n:,} {name} read, not loaded"
            for (name, what), n in sorted(self.counts.items())
            if name not in _NAMES and what == READ
        ]
        if self.dangling_accepted:
            lines.append(f"  {self.dangling_accepted:,} accepted answers are not in the file")
        if self.licensed:
            differ = f"{self.other_license:,} of {self.licensed:,} posts"
            lines.append(f"  the licence by date differs from the stated one for {differ}")
        lines += [f"  {note}" for note in self.notes]
        lines.append(f"  content sha256 {origin.digest}")
        return [*lines, TERMS] if origin.kind == "stack_exchange" else lines

    def _table_lines(self, table: str, name: str) -> list[str]:
        read = self.counts[table, READ]
        left_out = self.counts[table, OTHER_TAG]
        line = f"  {name}: {read:,} read, {self.rows[table]:,} kept"
        line += f", {left_out:,} of other tags" if left_out else ""
        return [line, *(f"    {n:,} dropped: {reason}" for reason, n in self.dropped(table).items())]
