"""The card and the notice: what they say, and that nothing of the data runs in them."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.marts import BUILD, row, words, write_snapshot
from tuning.dataset.card.notice import notice
from tuning.dataset.create import create_dataset, describe_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.settings import Settings

WRITTEN = (
    "written for this project, so a model that is tuned on them shows that the pipeline works, not how Stack Overflow "
    "data behaves"
)
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Tags with their attributes, and the page's text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def made(tmp_path: Path, rows: list[dict[str, Any]], build: dict[str, object] | None = None, **given: Any) -> Dataset:
    snapshot = write_snapshot(tmp_path / "snapshot", rows, build=build)
    return create_dataset(Settings(home=tmp_path), snapshot, resolve_options(**given), 1)


def hostile_rows() -> list[dict[str, Any]]:
    code = ATTACK.replace("<", "&lt;")
    rows = [
        row(
            number,
            question_title=f"{ATTACK} {number}",
            answer_body=f"<p>See <code>{code}</code> <img src='https://x.org/y.png'> {words(number)}</p>",
            tags=["python", "<i>tag"],
        )
        for number in range(60)
    ]
    rows[4]["answer_body"] = rows[5]["answer_body"] = f"<p>{words(777)} {ATTACK}</p>".replace(
        "<script", "<b>&lt;script"
    )
    return rows


@pytest.mark.parametrize("given", [{}, {"preset": "seed"}, {"body": "html"}])
def test_the_page_runs_and_fetches_nothing(tmp_path: Path, given: dict[str, str]) -> None:
    page = Page((made(tmp_path, hostile_rows(), **given).folder / "card.html").read_text())
    names = {name for name, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "i"}
    attributes = [attribute for _, has in page.tags for attribute in has.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "src"]
    assert all(str(value).startswith("https://") for name, value in attributes if name == "href")
    assert "alert(1)" in page.text
    assert "default-src 'none'" in str(page.tags)


def test_changes_are_counted_in_the_plural_of_their_kind(tmp_path: Path) -> None:
    rows = [row(number) for number in range(60)]
    rows[7]["answer_body"] += "<p>Hope this helps!</p>"
    rows[8]["answer_body"] += "<p>I hope that answers your question. Good luck!</p>"
    dataset = made(tmp_path, rows)
    assert "| removed good wishes | 3 |" in (dataset.folder / "README.md").read_text()
    changes = {change for split in ("train", "eval") for one in dataset.attributions(split) for change in one.changes}
    assert {"removed 1 good wish", "removed 2 good wishes"} <= changes


def test_the_page_shows_the_funnel_with_examples_and_ten_examples(tmp_path: Path) -> None:
    rows = [row(number) for number in range(60)]
    for number in range(10, 15):
        rows[number]["answer_body"] = f"<p>{words(777)}</p>"
    for number in range(20, 25):
        rows[number]["question_body"] = "<p>\x01</p>"
    dataset = made(tmp_path, rows)
    html = (dataset.folder / "card.html").read_text()
    assert "<h2>How long the texts are, and how old the answers</h2>" in html
    page = Page(html)
    for one in dataset.manifest.funnel:
        assert str(one["reason"]) in page.text
    assert "same answer (4 rows)" in page.text
    assert "10-1000010 is kept instead" in page.text
    shown = re.findall(r"questions/(\d+)", html)
    assert len(shown) == 3 + 3 + 10
    assert shown[:6] == ["20", "21", "22", "11", "12", "13"]
    assert html.count("<pre><code>x = ") == 10


def test_the_readme_says_what_hugging_face_asks(tmp_path: Path) -> None:
    dataset = made(tmp_path, [row(number) for number in range(60)])
    _, front, body = (dataset.folder / "README.md").read_text().split("---\n", 2)
    assert "\n\n\n" not in body
    facts = yaml.safe_load(front)
    assert facts["license"] == "cc-by-sa-4.0"
    assert facts["size_categories"] == ["n<1K"]
    assert facts["configs"][0]["data_files"] == [
        {"split": "train", "path": "train.jsonl"},
        {"split": "evaluation", "path": "eval.jsonl"},
    ]
    assert dataset.manifest.files["train.jsonl"].sha256 in body
    assert "| [CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/) | 120 |" in body


def test_content_that_was_written_for_this_project_is_never_called_stack_overflows(tmp_path: Path) -> None:
    build: dict[str, object] = {
        "kind": "synthetic",
        "name": "the sample of python-qa-tuning",
        "base_url": "urn:python-qa-tuning",
        "license": "Apache-2.0",
        "license_url": "https://www.apache.org/licenses/LICENSE-2.0",
    }
    dataset = made(tmp_path, [row(number) for number in range(60)], build)
    notice = (dataset.folder / "NOTICE.md").read_text()
    assert "The texts are from the sample of python-qa-tuning (urn:python-qa-tuning)" in notice
    assert "not from Stack Overflow" in notice
    _, front, readme = (dataset.folder / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["license"] == "apache-2.0"
    assert f"They were {WRITTEN}." in notice
    assert f"The questions and answers were {WRITTEN}." in readme


def test_content_of_a_site_is_not_said_to_be_written_for_this_project(tmp_path: Path) -> None:
    folder = made(tmp_path, [row(number) for number in range(60)]).folder
    assert not [name for name in ("NOTICE.md", "README.md") if "for this project" in (folder / name).read_text()]


@pytest.mark.parametrize("given", [{}, {"preset": "seed"}])
def test_the_notice_counts_the_posts_whose_authors_are_not_named(tmp_path: Path, given: dict[str, str]) -> None:
    rows = [row(number) for number in range(60)]
    named = (made(tmp_path / "named", rows, **given).folder / "NOTICE.md").read_text()
    assert "not named" not in named
    for one in rows[:3]:
        one["question_author_name"] = None
    rows[3]["answer_author_name"] = None
    rows[4] |= {"answer_author_name": None, "answer_author_url": None}  # the account is gone: nobody can be named
    notice = (made(tmp_path / "unnamed", rows, **given).folder / "NOTICE.md").read_text()
    assert "**The authors of 4 posts are not named**" in notice
    assert "Users.xml" in notice


def test_licences_other_than_cc_by_sa_are_counted_as_stated(tmp_path: Path) -> None:
    rows = [row(number) for number in range(1, 41)]
    rows[0] |= {"question_license": "CC BY 4.0", "question_license_url": "https://creativecommons.org/licenses/by/4.0/"}
    rows[1] |= {"answer_license": "MIT | <b>", "answer_license_url": "https://stackoverflow.com/help/licensing"}
    folder = made(tmp_path, rows, eval_fraction=0.3).folder
    card = (folder / "README.md").read_text()
    assert "| [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/) | 1 |" in card
    assert "| [MIT ? ?b?](https://stackoverflow.com/help/licensing) | 1 |" in card
    assert yaml.safe_load(card.split("---")[1])["license"] == "other"
    notice = (folder / "NOTICE.md").read_text()
    assert "**2 posts state another licence than CC BY-SA**: CC BY 4.0 (1), MIT ? ?b? (1)." in notice
    plain = made(tmp_path / "plain", rows[2:], eval_fraction=0.3).folder
    assert "another licence" not in (plain / "NOTICE.md").read_text()
    assert yaml.safe_load((plain / "README.md").read_text().split("---")[1])["license"] == "cc-by-sa-4.0"


def test_a_dataset_of_another_topic_does_not_claim_python(tmp_path: Path) -> None:
    rows = [row(number, tags=["plutus"]) for number in range(1, 41)]
    other = made(tmp_path / "other", rows, eval_fraction=0.3)
    card = (other.folder / "README.md").read_text()
    matter = yaml.safe_load(card.split("---")[1])
    assert (matter["pretty_name"], matter["tags"]) == ("Questions and answers of Stack Overflow", ["stack-exchange"])
    assert "Questions and accepted answers from Stack Overflow" in card
    remark = (
        "The instruction in every prompt speaks of Python, but most of the questions have no tag of Python. "
        "Set another one with --instruction-template."
    )
    assert f"**{remark}**" in card
    assert remark in (other.folder / "card.html").read_text()
    assert f"note: {remark}" in describe_dataset(other)
    python = made(tmp_path / "python", [row(number) for number in range(1, 41)], eval_fraction=0.3)
    card = (python.folder / "README.md").read_text()
    assert "Questions and accepted answers about Python from Stack Overflow" in card
    assert "speaks of Python" not in card + describe_dataset(python)
    build = BUILD | {"instruction_template": "Answer this question."}
    plain = made(tmp_path / "plain", rows, build=build, eval_fraction=0.3)
    assert "speaks of Python" not in (plain.folder / "README.md").read_text()


def test_the_notice_says_what_was_changed(tmp_path: Path) -> None:
    rows = [row(number) for number in range(60)]
    notices = {
        name: (made(tmp_path / name, rows, **given).folder / "NOTICE.md").read_text()
        for name, given in {"markdown": {}, "html": {"body": "html"}, "seed": {"preset": "seed"}}.items()
    }
    assert "HTML was converted to Markdown; greetings, thanks" in notices["markdown"]
    assert "converted" not in notices["html"]
    assert "greetings" not in notices["html"]
    assert "nothing else was changed" in notices["seed"]
    assert all("CC BY-SA" in notice and "denied_posts.csv" in notice for notice in notices.values())


def test_the_card_says_the_limit_that_an_example_was_over(tmp_path: Path) -> None:
    rows = [row(number) for number in range(60)]
    assert "token limit" not in (made(tmp_path / "short", rows).folder / "README.md").read_text()
    rows[3]["answer_body"] = f"<pre><code>{'x = 1  # too long' * 3000}</code></pre>"
    folder = made(tmp_path / "long", rows).folder
    for name in ("README.md", "card.html"):
        assert (
            "Over the token limit: an example of the format messages can have 8,192 tokens."
            in (folder / name).read_text()
        )


def test_the_name_of_an_own_file_does_not_end_its_cell_of_the_notice() -> None:
    file = {"name": "a|b`c\nd\u202e.jsonl", "side": "train", "weight": 2.0, "sha256": "0" * 64}
    (line,) = [line for line in notice({"kind": "own", "files": [file]}, DatasetOptions()).splitlines() if "a{" in line]
    assert line == f"| `a{{U+007C}}b{{U+0060}}c{{U+000A}}d{{U+202E}}.jsonl` | train | 2 | `{'0' * 64}` |"
