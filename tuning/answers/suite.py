"""Read the how-to questions whose answers are run. Each has a check of behavior, which any correct solution passes."""

import hashlib
import tomllib
from pathlib import Path

import msgspec

from tuning.errors import TuningError

_SUITES = Path(__file__).parent / "suites"
JUDGING, DEVELOPMENT = "judging", "development"


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Represent one question. `setup`, `check`, `variants` and `wrong` are Python; the texts are Markdown."""

    topic: str
    title: str
    body: str
    check: str  # runs after the answer's code and fails by raising; see child.py for what it may use
    setup: str = ""  # runs before the answer's code: the variables and files that the question shows
    reference: str = ""  # a correct answer
    variants: list[str] = []  # programs that must pass
    wrong: list[str] = []  # plausible programs that must fail


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the questions of a suite."""

    name: str
    questions: list[Question]
    is_ours: bool = True  # part of this package, and therefore about Python

    @property
    def title(self) -> str:
        """Return the name, the number of questions, and a hash of what is asked and checked."""
        asked = [(question.title, question.body, question.setup, question.check) for question in self.questions]
        sha256 = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()
        return f"{self.name}, {len(self.questions)} questions, {sha256[:12]}"


def find_suite(name: str) -> Suite:
    """Return the suite `name`: "judging" or "development". Raises TuningError if there is none."""
    questions = [
        msgspec.convert(question, Question)
        for path in sorted(_SUITES.glob(f"{name}_*.toml"))
        for question in tomllib.loads(path.read_text(encoding="utf-8"))["question"]
    ]
    if not questions:
        raise TuningError(f"there is no suite {name!r}", f"Choose {JUDGING} or {DEVELOPMENT}")
    return Suite(name=name, questions=questions)


def is_about_python(tags: list[list[str]]) -> bool:
    """Return whether a dataset is about Python: at least half of its questions have a tag of Python or its libraries.

    `tags` contains the list of tags of each question.
    """
    return bool(tags) and 2 * sum(map(has_python_tag, tags)) >= len(tags)


def has_python_tag(tags: list[str]) -> bool:
    """Return whether one of the tags is of Python or of one of its libraries."""
    return any("python" in tag or tag in LIBRARIES for tag in tags)


# dbt_project/macros/quality/post_flags.sql has the same names.
LIBRARIES = frozenset({"pandas", "numpy", "django", "flask", "matplotlib", "scipy", "scikit-learn", "pytorch"})
