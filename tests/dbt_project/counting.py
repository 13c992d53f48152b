"""The funnel counted once more in plain Python, straight from a dump's XML: no SQL, no model, no library of ours."""

import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import py7zr

_READ = ("Tags", "AcceptedAnswerId", "ParentId", "CreationDate", "Score")

Posts = tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]  # questions and answers by id


def read_posts(archive: Path) -> Posts:
    questions: dict[str, dict[str, str]] = {}
    answers: dict[str, dict[str, str]] = {}
    with TemporaryDirectory() as folder:
        with py7zr.SevenZipFile(archive) as packed:
            packed.extract(folder, targets=["Posts.xml"])
        for _, row in ElementTree.iterparse(Path(folder) / "Posts.xml"):  # noqa: S314 - the tests' own data
            if row.get("PostTypeId") in ("1", "2"):
                kind = questions if row.get("PostTypeId") == "1" else answers
                kind[str(row.get("Id"))] = {name: row.get(name, "") for name in _READ}
            row.clear()
    return questions, answers


def instruction_funnel(posts: Posts, pattern: str, since: str) -> list[tuple[str, int]]:
    """Rows that go on after each rule, in order."""
    questions, answers = posts
    left = Counter[str]()
    for number, question in questions.items():
        answer = answers.get(question["AcceptedAnswerId"], {})
        for rule, is_kept in (
            ("question_has_tag", _has_tag(question, pattern)),
            ("question_has_accepted_answer", question["AcceptedAnswerId"] != ""),
            ("answer_in_source", bool(answer)),
            ("answer_new_enough", answer.get("CreationDate", "") >= since),
            ("answer_to_this_question", answer.get("ParentId") == number),
        ):
            if not is_kept:
                break
            left[rule] += 1
    return list(left.items())


def preference_pairs(posts: Posts, pattern: str, since: str, gap: int) -> set[tuple[int, int, int]]:
    """Question, better and worse answer, as the variables' defaults choose them."""
    questions, answers = posts
    by_question: dict[str, list[tuple[int, int]]] = {}
    for number, answer in answers.items():
        if answer["CreationDate"] >= since:
            by_question.setdefault(answer["ParentId"], []).append((int(answer["Score"]), int(number)))
    pairs = set()
    for number, question in questions.items():
        candidates = by_question.get(number, [])
        if len(candidates) < 2 or not any(
            re.search(pattern, tag) for tag in re.split(r"[<>|]", question["Tags"]) if tag
        ):
            continue
        accepted = [one for one in candidates if str(one[1]) == question["AcceptedAnswerId"]]
        best = accepted[0] if accepted else max(candidates, key=lambda one: (one[0], -one[1]))
        worst = min(candidates, key=lambda one: (one[0], -one[1]))
        if best[0] - worst[0] >= gap:
            pairs.add((int(number), best[1], worst[1]))
    return pairs


def _has_tag(question: dict[str, str], pattern: str) -> bool:
    return any(re.search(pattern, tag) for tag in re.split(r"[<>|]", question["Tags"]) if tag)
