"""Define the dbt variables of a build. `dbt_project/dbt_project.yml` declares and checks them."""

import datetime
import hashlib
import re
from functools import cache
from typing import Any

import msgspec
import orjson

from tuning.errors import TuningError
from tuning.settings import DBT_PROJECT

_IN_BRACKETS = re.compile(r"\\.|\[[^\]]*\]|\([^()]*\)")


@cache
def _declared() -> dict[str, dict[str, Any]]:
    """Read the groups ``defaults`` and ``notebook`` of the variables in dbt_project.yml."""
    import yaml

    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    declared: dict[str, dict[str, Any]] = {name: project["vars"][name] for name in ("defaults", "notebook")}
    for values in declared.values():
        values["since"] = str(values["since"])  # YAML parses a date without quotes as a date object
    return declared


def _default(name: str) -> Any:
    return msgspec.field(default_factory=lambda: _declared()["defaults"][name])


class Variables(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the effective dbt variables of one build.

    A variable that is not given has its default from dbt_project.yml, so that an edit of that file takes effect here
    too. Raises TuningError for a `since` that is not a date, and for an empty `tag_pattern`.
    """

    tag_pattern: str = _default("tag_pattern")  # RE2 pattern, searched in each tag; BigQuery checks its syntax
    since: str = _default("since")  # answers created on or after this day, UTC
    minimum_answer_score: int | None = _default("minimum_answer_score")  # None: no limit
    instruction_template: str = _default("instruction_template")
    match_parent: bool = _default("match_parent")
    preference_vote_gap: int = _default("preference_vote_gap")
    pairs_per_question: int = _default("pairs_per_question")  # preference pairs; no answer is in two of them

    def __post_init__(self) -> None:
        try:
            is_date = datetime.date.fromisoformat(self.since).isoformat() == self.since
        except ValueError:
            is_date = False
        if not is_date:
            raise TuningError(f"--since {self.since!r} is not a date", "Write it as YYYY-MM-DD")
        if not self.tag_pattern:
            raise TuningError("--tag-pattern is empty", "Use '.' to match every tag")
        if self.pairs_per_question < 1:
            raise TuningError(f"--pairs-per-question cannot be {self.pairs_per_question}", "Use a number of 1 or more")

    @classmethod
    def seed(cls) -> "Variables":
        """Return the values of the course notebook for `--preset seed`, from `notebook` in dbt_project.yml."""
        return cls(**_declared()["notebook"])

    def all(self) -> dict[str, Any]:
        """Return every variable with its effective value, as the row of python_qa_build records them."""
        return msgspec.structs.asdict(self)

    def overrides(self) -> dict[str, Any]:
        """Return the variables that differ from the defaults. If there are any, dbt builds into a separate dataset."""
        return {name: value for name, value in self.all().items() if value != _declared()["defaults"][name]}

    def key(self) -> str:
        """Return a short name for the files of builds with these values: ``default``, or eight hex digits of a hash."""
        overrides = self.overrides()
        canonical = orjson.dumps(overrides, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(canonical).hexdigest()[:8] if overrides else "default"


def may_want_more(tag_pattern: str, tag_filter: str) -> bool:
    """Return whether `tag_pattern` may match tags that do not contain `tag_filter`.

    Return False only if `tag_filter` is empty or the literal text of the pattern shows that every match contains it.
    Text in groups and character classes is ignored. A pattern with alternatives outside groups always gives True.
    """
    if not tag_filter:
        return False
    plain = tag_pattern
    while (shorter := _IN_BRACKETS.sub("\n", plain)) != plain:
        plain = shorter
    # Drop each character before ?, * or {, because it may be optional.
    certain = re.sub(r".(?:[?*]|\{)", "\n", plain)
    return "|" in plain or tag_filter not in certain.lower()
