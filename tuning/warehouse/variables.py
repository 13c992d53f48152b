"""Define the dbt variables of a build. `dbt_project/dbt_project.yml` declares and checks them."""

import datetime
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import orjson

from tuning.errors import TuningError
from tuning.settings import DBT_PROJECT
from tuning.values import shown

_JINJA = re.compile(r"[{][{%#]|[#}%][}]")  # dbt would run such a text as a template
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


Filter = Literal["keep", "drop"]


class Variables(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the effective dbt variables of one build.

    A variable that is not given has its default from dbt_project.yml, so that an edit of that file takes effect here
    too. Raises TuningError for a value that dbt would refuse.
    """

    tag_pattern: str = _default("tag_pattern")  # RE2 pattern, searched in each tag
    since: str = _default("since")  # answers created on or after this day, UTC
    instruction_template: str = _default("instruction_template")
    match_parent: bool = _default("match_parent")
    preference_vote_gap: int = _default("preference_vote_gap")
    minimum_question_score: int | None = _default("minimum_question_score")  # None: no minimum, here and below
    minimum_answer_score: int | None = _default("minimum_answer_score")
    minimum_question_length: int | None = _default("minimum_question_length")  # characters that a reader sees
    minimum_answer_length: int | None = _default("minimum_answer_length")
    closed_questions: Filter = _default("closed_questions")
    duplicate_questions: Filter = _default("duplicate_questions")
    picture_questions: Filter = _default("picture_questions")
    leaning_answers: Filter = _default("leaning_answers")
    python2_answers: Filter = _default("python2_answers")
    exclude_user: list[int] = _default("exclude_user")  # IDs of users whose posts are left out
    pairs_per_question: int = _default("pairs_per_question")  # preference pairs; no answer is in two of them

    def __post_init__(self) -> None:
        try:
            is_date = datetime.date.fromisoformat(self.since).isoformat() == self.since
        except ValueError:
            is_date = False
        if not is_date:
            raise TuningError(f"--since {self.since!r} is not a date", "Write it as YYYY-MM-DD")
        msgspec.structs.force_setattr(self, "exclude_user", checked_user_ids(self.exclude_user))
        _check_pattern(self.tag_pattern)
        for name in ("preference_vote_gap", "pairs_per_question"):
            if getattr(self, name) < 1:
                raise TuningError(f"--{name.replace('_', '-')} {getattr(self, name)} is less than 1")
        for name, hint in get_type_hints(type(self)).items():
            _check(name, getattr(self, name), hint)

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


def _check(name: str, value: Any, hint: Any) -> None:
    """Raise TuningError if dbt would refuse this value of a text, a number or a choice."""
    option = f"--{name.replace('_', '-')}"
    if choices := get_args(hint) if get_origin(hint) is Literal else ():
        if value not in choices:
            raise TuningError(f"{option} cannot be {value!r}", f"Choose one of: {', '.join(choices)}")
    elif isinstance(value, str) and ("\0" in value or _JINJA.search(value)):
        raise TuningError(f"{option} contains a Jinja delimiter such as {{{{, or a null character", "Remove it")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise TuningError(f"{option} {value} is not a 64-bit number")
    elif name.startswith("minimum_") and not name.endswith("_score") and value is not None and value < 0:
        raise TuningError(f"{option} cannot be {value}", "Use a number of at least 0; 0 is no minimum")


def _check_pattern(pattern: str) -> None:
    import re2

    if not pattern:
        raise TuningError("--tag-pattern is empty", "Use '.' to match every tag")
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0]
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise TuningError(f"--tag-pattern {shown(pattern)} is not valid in RE2 ({shown(reason)})") from None


def checked_user_ids(user_ids: Iterable[int]) -> list[int]:
    """Return the IDs in ascending order, each once. Raises TuningError if BigQuery has no such number."""
    for user_id in user_ids:
        if abs(user_id) >= 1 << 63:
            raise TuningError(f"--exclude-user {user_id} is not a user ID", "Give the number in the user's address")
    return sorted(set(user_ids))


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
