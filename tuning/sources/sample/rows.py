"""Generate the rows of the sample tables."""

import datetime
import hashlib
from collections.abc import Iterator

from tuning.sources.sample.docs import Entry, entries
from tuning.sources.sample.markup import code, inline, pre, to_html
from tuning.sources.sample.wording import Picker, question, summary

Row = dict[str, object]

AUTHOR = "Python documentation"
FIRST_ID = 1_000_000_000_000  # no site has nearly as many posts
_FIRST_DAY = datetime.datetime(2020, 1, 1, 9, tzinfo=datetime.UTC)
_BETWEEN = datetime.timedelta(hours=11)  # between two questions; 2,500 questions span about three years
_OPENINGS = (
    "Use {name}:",
    "That is what {name} does:",
    "You are looking for {name}:",
    "{name} is described like this:",
)


def sample_rows(count: int, version: str) -> Iterator[tuple[Row, list[Row]]]:
    """Yield at most `count` questions, each with its answers. The accepted answer comes first.

    `version` is a Python version such as ``3.11``. Questions are sorted by a hash of the name, so a smaller sample
    contains the first questions of a larger one.
    """
    ordered = sorted(entries(), key=lambda entry: hashlib.sha256(entry.dotted.encode()).digest())
    for number, entry in enumerate(ordered[:count]):
        yield _thread(entry, number, version)


def _thread(entry: Entry, number: int, version: str) -> tuple[Row, list[Row]]:
    pick = Picker(f"thread {entry.dotted}")
    asked = _FIRST_DAY + number * _BETWEEN
    first = FIRST_ID + 10 * number
    words = question(entry)
    answers = [_post(first + 1, _answer(entry, pick, version), asked + datetime.timedelta(hours=1), 5 + pick.below(60))]
    if pick.one_in(3):
        hint = _hint(entry)
        answers.append(_post(first + 2, hint, asked + datetime.timedelta(minutes=10), pick.below(3) - 1))
    for answer in answers:
        answer.update(parent_id=first, post_type_id=2)
    asking = _post(first, words.body, asked, 1 + pick.below(30)) | {
        "title": words.title,
        "accepted_answer_id": first + 1,
        "answer_count": len(answers),
        "post_type_id": 1,
        "tags": f"python|{entry.page}",
        "view_count": 100 + pick.below(5000),
    }
    return asking, answers


def _post(number: int, body: str, created: datetime.datetime, score: int) -> Row:
    return {
        "id": number,
        "body": body,
        "comment_count": 0,
        "creation_date": created,
        "last_activity_date": created,
        "owner_display_name": AUTHOR,
        "score": score,
    }


def _answer(entry: Entry, pick: Picker, version: str) -> str:
    """Return the signature, docstring and examples. One in four answers also links to the page."""
    text = f"<p>{pick.of(_OPENINGS).format(name=code(entry.dotted))}</p>\n"
    text += pre(_call(entry)) + to_html(entry.doc)
    if pick.one_in(4):
        url = f"https://docs.python.org/{version}/library/{entry.page}.html"
        text += f'<p>See the <a href="{url}">documentation of {code(entry.page)}</a>.</p>\n'
    return text


def _hint(entry: Entry) -> str:
    """Return a worse answer, which names the object but explains little."""
    return f"<p>Did you try {code(f'help({entry.dotted})')}? It starts with: {inline(summary(entry))}.</p>\n"


def _call(entry: Entry) -> str:
    return f"class {entry.dotted}{entry.signature}" if entry.kind == "class" else f"{entry.dotted}{entry.signature}"
