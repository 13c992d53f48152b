"""From rows to typed columns, with a reason for every row that is dropped."""

import datetime
from collections import Counter
from typing import Any

import pytest

from tests.sources.dumps import answer, question, row
from tuning.sources.parse import READ, Parsed, parse_posts, parse_table
from tuning.sources.reading.xml_rows import JOINED, MENDED_ROWS, REPLACED

UTC = datetime.UTC


def parsed(*rows: str) -> Parsed:
    return parse_posts(["\n".join(rows).encode()])


def only(found: Parsed, table: str) -> dict[str, Any]:
    (one,) = found.batches[table].to_pylist()
    return one


def test_a_question_has_every_column_of_the_public_table_and_its_date_of_closing() -> None:
    found = parsed(
        row(
            Id=7, PostTypeId=1, AcceptedAnswerId=9, CreationDate="2008-07-31T21:42:52.667", Score=-2, ViewCount=10,
            Body="<p>a &amp; b</p>\n", OwnerUserId=8, OwnerDisplayName="Ann", LastEditorUserId=6,
            LastEditorDisplayName="Bo", LastEditDate="2018-07-02T17:55:27.247", LastActivityDate="2019-01-17T13:39:48",
            CommunityOwnedDate="2012-10-31T16:42:47.213", Title="It's \"here\"", Tags="<c#><python>", AnswerCount=13,
            CommentCount=5, FavoriteCount=4, ParentId=3, ContentLicense="CC BY-SA 4.0",
            ClosedDate="2013-02-03T04:05:06.007",
        )
    )  # fmt: skip
    assert only(found, "posts_questions") == {
        "id": 7,
        "title": 'It\'s "here"',
        "body": "<p>a &amp; b</p>\n",
        "accepted_answer_id": 9,
        "answer_count": 13,
        "comment_count": 5,
        "community_owned_date": datetime.datetime(2012, 10, 31, 16, 42, 47, 213000, UTC),
        "creation_date": datetime.datetime(2008, 7, 31, 21, 42, 52, 667000, UTC),
        "favorite_count": 4,
        "last_activity_date": datetime.datetime(2019, 1, 17, 13, 39, 48, tzinfo=UTC),
        "last_edit_date": datetime.datetime(2018, 7, 2, 17, 55, 27, 247000, UTC),
        "last_editor_display_name": "Bo",
        "last_editor_user_id": 6,
        "owner_display_name": "Ann",
        "owner_user_id": 8,
        "parent_id": None,
        "post_type_id": 1,
        "score": -2,
        "tags": "c#|python",
        "view_count": 10,
        "closed_date": datetime.datetime(2013, 2, 3, 4, 5, 6, 7000, UTC),
        "content_license": "CC BY-SA 4.0",
    }


def test_an_answer_leaves_the_columns_of_questions_empty() -> None:
    one = only(parsed(answer(9, 7, ViewCount=4, FavoriteCount=1, Title="no")), "posts_answers")
    assert (one["id"], one["parent_id"], one["post_type_id"], one["score"]) == (9, 7, 2, 1)
    unused = ("title", "accepted_answer_id", "answer_count", "favorite_count", "tags", "view_count")
    assert [one[name] for name in unused] == [None] * 6


@pytest.mark.parametrize("tags", ["<python><c++>", "|python|c++|"])
def test_tags_of_older_and_newer_dumps_come_out_alike(tags: str) -> None:
    assert only(parsed(question(1, tags)), "posts_questions")["tags"] == "python|c++"


def test_text_is_decoded_once_by_the_rules_of_xml() -> None:
    raw = rb"""<row Id="1" PostTypeId="2" ParentId="3" CreationDate="2020-01-01T00:00:00" Body='&amp;lt;b&gt; &#128512;
 &#xD;&#xA;&amp;nbsp; "q" &apos; &amp;copy' />"""
    assert only(parse_posts([raw]), "posts_answers")["body"] == '&lt;b> \U0001f600  \r\n&nbsp; "q" \' &copy'


@pytest.mark.parametrize(
    ("table", "bad", "reason"),
    [
        ("posts_questions", question(1).replace('Id="1"', 'Id="one"', 1), "malformed Id"),
        ("posts_questions", question(1).replace('Id="1"', 'Id="99999999999999999999"', 1), "malformed Id"),
        ("posts_questions", question(1).replace('Id="1"', 'Id="-1"', 1), "malformed Id"),
        ("posts_questions", question(1).replace('Id="1"', 'Id="0x10"', 1), "malformed Id"),
        ("posts_questions", question(1, OwnerUserId="0XFFFFFFFFFFFFFFFF"), "malformed OwnerUserId"),
        ("posts_questions", question(1).replace("2020-05-01T", "0000-05-01T"), "malformed CreationDate"),
        ("posts_questions", question(1).replace(' Id="1"', "", 1), "no Id"),
        ("posts_questions", question(1).replace("Title=", "Topic="), "no Title"),
        ("posts_questions", question(1).replace("2020-05-01T", "2020-13-01T"), "malformed CreationDate"),
        ("posts_questions", question(1).replace("CreationDate=", "Date="), "no CreationDate"),
        ("posts_questions", question(1).replace('Score="3"', 'Score="3.5"'), "malformed Score"),
        ("posts_answers", answer(2, 1).replace("Body=", "Text="), "no Body"),
        (
            "posts_answers",
            row(Id=2, PostTypeId=2, ParentId=1, CreationDate="2020-01-01T00:00:00", Body=" \n"),
            "no Body",
        ),
        ("posts_answers", answer(2, 1).replace("ParentId=", "Parent="), "no ParentId"),
        ("posts_answers", answer(2, 1).replace('ParentId="1"', 'ParentId="x"'), "malformed ParentId"),
    ],
)
def test_a_row_that_cannot_be_used_is_dropped_for_a_reason(table: str, bad: str, reason: str) -> None:
    found = parsed(bad, question(11), answer(12, 11))
    assert {key: n for key, n in found.counts.items() if key[1] != READ} == {(table, reason): 1}
    assert [found.batches[name].column("id").to_pylist() for name in ("posts_questions", "posts_answers")] == [
        [11],
        [12],
    ]


def test_a_row_that_is_not_xml_spoils_only_itself() -> None:
    found = parsed(
        question(1), '<row Id="2" PostTypeId="1" Body="&undefined;" />', '<row Id="3" Body="&#0" />', question(4)
    )
    assert found.batches["posts_questions"].column("id").to_pylist() == [1, 4]
    assert found.counts["posts", "not well-formed XML"] == 2


def test_forbidden_characters_are_mended_and_counted_in_any_attribute() -> None:
    found = parsed(
        question(1).replace("How", "&#x0E;How &#55357;&#56836;"),
        answer(2, 1).replace("Like", "L\x00ike"),
        question(3, tags="<py>").replace("py", "p&#xD83D;y"),
        question(4).replace('Id="4"', 'Id="4&#1;"', 1),
        question(5).replace("How", "&#1; &nothing;"),
        row(Id=6, PostTypeId=4, Body="wiki").replace("wiki", "&#8;"),
    )
    (first, third) = found.batches["posts_questions"].to_pylist()
    assert (first["id"], first["body"]) == (1, "<p>\ufffdHow \U0001f604 does 1 work?</p>\n")
    assert (third["id"], third["tags"]) == (3, "p\ufffdy")
    assert only(found, "posts_answers")["body"].startswith("<p>L\ufffdike 2")
    assert [found.counts[what] for what in (MENDED_ROWS, REPLACED, JOINED)] == [5, 5, 1]
    assert found.counts["posts", "not well-formed XML"] == 1
    assert found.counts["posts_questions", "malformed Id"] == 1


def test_a_row_that_is_too_long_for_a_post_is_counted_and_not_parsed() -> None:
    found = parsed(question(1), question(2).replace("How", "x" * (2 << 20)), question(3))
    assert found.batches["posts_questions"].column("id").to_pylist() == [1, 3]
    assert found.counts["posts", "longer than 2 MB"] == 1


def test_a_block_without_forbidden_characters_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.sources.reading.xml_rows.mend", None)
    assert parsed(question(1), answer(2, 1)).counts["posts_questions", READ] == 1


def test_other_kinds_of_posts_are_counted_by_name() -> None:
    found = parsed(row(Id=1, PostTypeId=4), row(Id=2, PostTypeId=5), row(Id=3, PostTypeId=77), row(Id=4))
    assert found.counts == Counter(
        {(name, READ): 1 for name in ("tag wiki excerpts", "tag wikis", "posts of type 77", "posts of type unknown")}
    )
    assert not found.batches


@pytest.mark.parametrize(
    ("created", "edited", "stated", "differs"),
    [
        ("2011-04-07T23:59:59.999", None, "CC BY-SA 2.5", 0),
        ("2011-04-08T00:00:00.000", None, "CC BY-SA 3.0", 0),
        ("2018-05-01T23:59:59.999", None, "CC BY-SA 3.0", 0),
        ("2018-05-02T00:00:00.000", None, "CC BY-SA 4.0", 0),
        ("2010-01-01T00:00:00.000", "2019-01-01T00:00:00.000", "CC BY-SA 4.0", 0),
        ("2010-01-01T00:00:00.000", "2019-01-01T00:00:00.000", "CC BY-SA 2.5", 1),
        ("2020-01-01T00:00:00.000", None, "CC BY-SA 3.0", 1),
    ],
)
def test_a_licence_other_than_the_dates_say_is_counted(created: str, edited: str, stated: str, differs: int) -> None:
    edit = {"LastEditDate": edited} if edited else {}
    found = parsed(
        row(Id=1, PostTypeId=2, ParentId=3, CreationDate=created, Body="x", ContentLicense=stated, **edit), answer(2, 3)
    )
    assert (found.licensed, found.other_license) == (1, differs)


@pytest.mark.parametrize(
    ("stated", "kept", "licensed", "unknown"),
    [
        ("CC BY-SA 2.5", "CC BY-SA 2.5", 1, 0),
        (" cc-by-sa 3.0 ", "CC BY-SA 3.0", 1, 0),
        ("", None, 0, 0),
        (" ", None, 0, 0),
        ("CC BY 4.0", "CC BY 4.0", 0, 1),
    ],
)
def test_the_stated_licence_is_kept(stated: str, kept: str | None, licensed: int, unknown: int) -> None:
    found = parsed(question(1, ContentLicense=stated), answer(2, 1, ContentLicense=stated), answer(3, 1))
    assert only(found, "posts_questions")["content_license"] == kept
    assert [one["content_license"] for one in found.batches["posts_answers"].to_pylist()] == [kept, None]
    assert (found.licensed, found.unknown_license) == (2 * licensed, 2 * unknown)


def test_users_may_have_negative_ids_and_links_need_both_ends() -> None:
    users = parse_table("users")([row(Id=-1, DisplayName="Community", AboutMe="<p>Hi</p>\r\n", UpVotes=3).encode()])
    assert only(users, "users") | {"id": -1, "about_me": "<p>Hi</p>\r\n", "up_votes": 3} == only(users, "users")
    links = parse_table("post_links")(
        [
            (
                row(Id=1, CreationDate="2021-04-27T16:25:21.230", PostId=3, RelatedPostId=5, LinkTypeId=3)
                + row(Id=2, CreationDate="2021-04-27T16:25:21.230", PostId=3, LinkTypeId=3)
            ).encode()
        ]
    )
    assert only(links, "post_links")["related_post_id"] == 5
    assert links.counts["post_links", "no RelatedPostId"] == 1
