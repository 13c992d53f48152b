"""Represent which column of a mart has which role for the dataset."""

from collections.abc import Sequence

import msgspec

from tuning.errors import TuningError


class MartColumns(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the columns of one mart by role, as the exposure `tune_python_qa` declares them."""

    attribution: dict[str, str]  # maps each field of attribution.jsonl to its column
    links: str  # the column with the IDs of the questions that are linked as duplicates
    quality: str = ""  # the column with the reason why the export leaves a row out; snapshots of old versions have none
    texts: tuple[str, ...]  # title, body and answer; the preference mart also has the rejected answer
    notebook_texts: tuple[str, ...] = ()  # prompt and answer, joined as in the course notebook
    # Own data has no mart. These columns say whether its user put a row into the evaluation split, and how often the
    # row is written.
    side: str = ""
    copies: str = ""

    @property
    def is_own(self) -> bool:
        """Return whether the columns are those of own data."""
        return bool(self.side)

    def all(self) -> tuple[str, ...]:
        """Return every column, each once."""
        others = [name for name in (self.quality, self.side, self.copies) if name]
        names = [*self.attribution.values(), self.links, *others, *self.texts, *self.notebook_texts]
        return tuple(dict.fromkeys(names))

    def check(self, present: Sequence[str], where: str) -> None:
        """Check that `present` contains every column. `where` names the table or folder in the error message.

        Raises TuningError if a column is missing.
        """
        if missing := [column for column in self.all() if column not in present]:
            raise TuningError(f"{where} lacks the column {missing[0]}", "Run `invoke build` to build the mart again")
