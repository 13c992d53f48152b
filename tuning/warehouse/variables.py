"""What a build can vary: the dbt project's variables, as `dbt_project/dbt_project.yml` declares and checks them."""

import datetime
import hashlib
import re
from functools import cache
from typing import Any

import msgspec
import orjson

from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT

DBT_PROJECT = PROJECT_ROOT / "dbt_project"
_IN_BRACKETS = re.compile(r"\\.|\[[^\]]*\]|\([^()]*\)")


class Variables(msgspec.Struct, frozen=True, kw_only=True):
    """One build's variables; what is left out is the project's default. Raises TuningError for a date that is none."""

    tag_pattern: str = r"^python(-\d.*)?$"  # RE2, searched in each single tag; BigQuery itself judges it
    since: str = "2020-01-01"  # answers created on or after this day, UTC
    minimum_answer_score: int | None = None  # None: no bound
    instruction_template: str | None = None  # None: the project's own
    match_parent: bool = True
    preference_vote_gap: int = 2

    def __post_init__(self) -> None:
        try:
            is_date = datetime.date.fromisoformat(self.since).isoformat() == self.since
        except ValueError:
            is_date = False
        if not is_date:
            raise TuningError(f"--since {self.since!r} is no date", "Write it as YYYY-MM-DD")
        if not self.tag_pattern:
            raise TuningError("--tag-pattern is empty", "'.' takes every tag")

    @classmethod
    def seed(cls) -> "Variables":
        """The seed notebook's choices: `python` anywhere in a tag, the accepted answer joined by its id alone."""
        return cls(tag_pattern="python", since="2020-01-01", match_parent=False)

    def all(self) -> dict[str, Any]:
        """Every variable with its effective value, as the row of python_qa_build records them."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.instruction_template is None:
            values["instruction_template"] = defaults()["instruction_template"]
        return values

    def overrides(self) -> dict[str, Any]:
        """The variables that differ from the project's defaults: with any, dbt builds into a dataset of its own."""
        return {name: value for name, value in self.all().items() if value != defaults()[name]}

    def key(self) -> str:
        """A short name for files of such builds: ``default``, or eight hex digits of the overrides."""
        overrides = self.overrides()
        canonical = orjson.dumps(overrides, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(canonical).hexdigest()[:8] if overrides else "default"


@cache
def defaults() -> dict[str, Any]:
    """The variables of dbt_project.yml with their values."""
    import yaml

    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    return {name: project["vars"][name] for name in Variables.__struct_fields__}


def may_want_more(tag_pattern: str, tag_filter: str) -> bool:
    """False only where every tag that matches `tag_pattern` contains `tag_filter`, as far as its plain text shows.

    Text inside groups and sets, and a pattern with alternatives, prove nothing: then it may.
    """
    if not tag_filter:
        return False
    plain = tag_pattern
    while (shorter := _IN_BRACKETS.sub("\n", plain)) != plain:
        plain = shorter
    # A sign before ?, * or {0} may be absent.
    certain = re.sub(r".(?:[?*]|\{)", "\n", plain)
    return "|" in plain or tag_filter not in certain.lower()
