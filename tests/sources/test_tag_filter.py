"""`--tag`: which rows are kept without being parsed, against parsing them all."""

import random
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.sources.dumps import answer, document, posts_file, question, row
from tuning.errors import TuningError
from tuning.sources.dump import open_dump
from tuning.sources.parse import READ
from tuning.sources.report import IngestReport
from tuning.sources.tag_filter import OTHER_TAG, TagFilter

Table = Callable[[str], list[dict[str, Any]]]
Convert = Callable[..., IngestReport]


def ids(table: Table) -> tuple[list[int], list[int]]:
    return [one["id"] for one in table("posts_questions")], [one["id"] for one in table("posts_answers")]


def test_questions_with_the_tag_and_their_answers_are_kept(tmp_path: Path, convert: Convert, table: Table) -> None:
    report = convert(
        posts_file(
            tmp_path,
            question(1, "<python-3.x>"),
            question(2, "<java>"),
            answer(3, 1),
            answer(4, 2),
            question(5, "|c++|ipython|"),
            answer(6, 5),
            row(Id=7, PostTypeId=4, Body="wiki"),
        ),
        tag="Python",
    )
    assert ids(table) == ([1, 5], [3, 6])
    assert report.counts["posts_questions", READ] == 3
    assert report.counts["posts_answers", OTHER_TAG] == 1
    assert report.counts["tag wiki excerpts", READ] == 1
    assert report.origin.tag_filter == "python"


def test_an_answer_before_its_question_is_not_lost(tmp_path: Path, convert: Convert, table: Table) -> None:
    rows = [answer(3, 9), answer(4, 10), answer(5, 11), question(9, "<python>"), question(10, "<java>")]
    report = convert(posts_file(tmp_path, *rows), tag="python")
    assert ids(table) == ([9], [3])
    assert report.counts["posts_answers", READ] == 3
    assert report.counts["posts_answers", OTHER_TAG] == 2


def test_many_answers_before_their_questions_go_through_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.sources.tag_filter._IN_MEMORY", 1000)
    early = [answer(number, number + 1000) for number in range(1, 500)]
    content = document([*early, *(question(number + 1000) for number in range(1, 500, 2))])
    kept = b"".join(TagFilter("python", tmp_path).keep(iter([content[content.index(b"<row") :]]), "Posts.xml"))
    assert len(re.findall(rb'PostTypeId="2"', kept)) == 250


def test_an_accepted_answer_that_names_another_question_is_kept(tmp_path: Path, convert: Convert, table: Table) -> None:
    rows = [question(1, "<java>"), question(2, "<python>", AcceptedAnswerId=3), answer(3, 1), answer(4, 1)]
    report = convert(posts_file(tmp_path, *rows), tag="python")
    assert ids(table) == ([2], [3])
    assert report.dangling_accepted == 0


@pytest.mark.parametrize("text", ["lt", "gt", "amp", "t;", "<", "a b", "a|b", '"'])
def test_text_that_is_only_in_the_writing_of_tags_matches_nothing(text: str, tmp_path: Path, convert: Convert) -> None:
    path = posts_file(tmp_path, question(1, "<c&a>"))
    with pytest.raises(TuningError, match=r"cannot be part of a tag|no question with a tag"):
        convert(path, tag=text)


def test_the_text_has_to_be_in_the_tags_and_in_one_of_them(tmp_path: Path, convert: Convert, table: Table) -> None:
    rows = [question(1, "<py><thon>"), question(2, "<java>", Note='Tags="<python>"'), question(3, "<python>")]
    convert(posts_file(tmp_path, *rows), tag="python")
    assert ids(table) == ([3], [])


def test_what_no_dump_has_is_refused_without_being_parsed(tmp_path: Path, convert: Convert) -> None:
    for foreign in ("<!-- <row /> -->", "<![CDATA[<row />]]>", "<!DOCTYPE posts []>"):
        with pytest.raises(TuningError, match="declaration, comment or CDATA"):
            convert(posts_file(tmp_path, question(1, "<python>"), foreign, question(2, "<java>")), tag="python")


def test_rows_that_cannot_be_used_are_dropped_with_a_tag_too(tmp_path: Path, convert: Convert, table: Table) -> None:
    rows = [
        question(1, "<python>"),
        question(2, "<python>").replace('Id="2"', 'Id="99999999999999999999"', 1),
        answer(3, 1).replace('ParentId="1"', 'ParentId="x"'),
        answer(4, 1).replace("&lt;p", "<p", 1),
        answer(5, 1),
    ]
    report = convert(posts_file(tmp_path, *rows), tag="python")
    assert ids(table) == ([1], [5])
    assert report.dropped("posts_questions") == {"malformed Id": 1}
    assert report.dropped("posts_answers") == {"malformed ParentId": 1}
    assert report.dropped("posts") == {"not well-formed XML": 1}


def naive(rows: Iterable[dict[str, str]], text: str) -> tuple[list[int], list[int]]:
    """The rule again, over parsed rows that are all in memory."""
    posts = list(rows)
    tags = {one["Id"]: re.split(r"[<>|]+", one.get("Tags", "")) for one in posts if one["PostTypeId"] == "1"}
    kept = {number for number, its in tags.items() if any(text in tag for tag in its)}
    answers = [int(one["Id"]) for one in posts if one["PostTypeId"] == "2" and one["ParentId"] in kept]
    return sorted(map(int, kept)), sorted(answers)


def test_random_dumps_in_unusual_writing_give_what_parsing_all_gives(
    tmp_path: Path, convert: Convert, table: Table
) -> None:
    chance = random.Random(7)  # noqa: S311
    writings = [
        lambda text: text,
        lambda text: text.replace('"', "'"),
        lambda text: text.replace(" />", "></row>"),
        lambda text: re.sub(r'(Id="\d+") (PostTypeId="\d")', r"\2 \1", text, count=1),
        lambda text: text.replace("python", "&#112;ython"),
        lambda text: text.replace(" PostTypeId", "\n  PostTypeId"),
    ]
    for _ in range(20):
        numbers = chance.sample(range(1, 10_000), 60)
        questions = [question(n, chance.choice(["<python>", "<java>", "|a|python-3.x|", "|b|"])) for n in numbers[:25]]
        rows = questions + [answer(n, chance.choice(numbers[:25])) for n in numbers[25:]]
        chance.shuffle(rows)
        path = posts_file(tmp_path, *(chance.choice(writings)(one) for one in rows))
        expected = naive((element.attrib for element in ElementTree.parse(path).getroot()), "python")  # noqa: S314
        convert(path, tag="python")
        found = ids(table)
        assert (sorted(found[0]), sorted(found[1])) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stackoverflow-python-bodies.7z", "ironpython"),
        ("stackoverflow-python-bodies.7z", "django"),
        ("cardano.stackexchange.com.7z", "plutus"),
        ("stackoverflow.com-first-days.7z", "python"),
    ],
)
def test_real_dumps_give_what_parsing_all_gives(
    real_data: Path, convert: Convert, table: Table, name: str, text: str
) -> None:
    parts = open_dump(real_data / name).parts()
    root = ElementTree.fromstring(b"".join(next(parts).chunks))  # noqa: S314
    expected = naive((element.attrib for element in root), text)
    convert(real_data / name, tag=text)
    questions, answers = ids(table)
    assert (sorted(questions), sorted(answers)) == expected
