"""Represent which column of a mart has which role for the dataset."""

from collections.abc import Sequence

import msgspec

from tuning.errors import TuningError


class MartColumns(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the columns of one mart by role, as the exposure `tune_python_qa` declares them."""

    attribution: dict[str, str]  # field of attribution.jsonl: column
    links: str  # ids of the questions that are linked as duplicates
    texts: tuple[str, ...]  # title, body and answer; the preference mart also has the rejected answer
    notebook_texts: tuple[str, ...] = ()  # prompt and answer, as the notebook joins them

    def all(self) -> tuple[str, ...]:
        """Return every column, each once."""
        return tuple(dict.fromkeys([*self.attribution.values(), self.links, *self.texts, *self.notebook_texts]))

    def check(self, present: Sequence[str], where: str) -> None:
        """Check that `present` contains every column. `where` names the table or folder.

        Raises TuningError if a column is missing.
        """
        if missing := [column for column in self.all() if column not in present]:
            raise TuningError(f"{where} lacks the column {missing[0]}", "Run `invoke build` to build the mart again")
