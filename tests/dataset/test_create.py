"""One input and one set of options give the same bytes, however they are computed."""

import itertools
import random
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.folders import dropped, fingerprint, question_ids, texts
from tests.marts import TEMPLATE, row, words, write_snapshot
from tuning.dataset.create import create_dataset, describe_dataset, remarks
from tuning.dataset.dataset import Dataset, find_dataset
from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.errors import TuningError
from tuning.settings import Settings


def made(
    tmp_path: Path, name: str, rows: list[dict[str, Any]], files: int = 1, workers: int = 1, **given: Any
) -> Dataset:
    snapshot = write_snapshot(tmp_path / name / "snapshot", rows, files)
    return create_dataset(Settings(home=tmp_path / name), snapshot, resolve_options(**given), workers)


def mixed_rows(count: int) -> list[dict[str, Any]]:
    """Rows of which some are equal, near, linked, secret or not convertible."""
    rows = [row(number) for number in range(1, count + 1)]
    for number in range(0, count - 3, 25):
        first, second, third, fourth = rows[number : number + 4]
        second["answer_body"] = first["answer_body"]
        third["question_body"] = first["question_body"].replace("</p>", " at last</p>")
        third["question_title"] = first["question_title"]
        fourth["linked_question_ids"] = [first["question_id"], 10**9]
        fourth["answer_body"] += "<p>Ask me at some.body@mailbox-of-mine.net</p>"
    rows[7]["answer_body"] = "<p>\x01</p>"
    return rows


@pytest.mark.parametrize(
    ("workers", "given"), [(2, {}), (1, {"split": "random"}), (1, {"split": "time", "split_date": "2021-06-01"})]
)
def test_bytes_do_not_depend_on_workers_nor_on_the_order_of_rows_and_files(
    tmp_path: Path, workers: int, given: dict[str, str]
) -> None:
    rows = mixed_rows(2_100 if workers > 1 else 600)  # so many that workers are started
    shuffled = random.Random(3).sample(rows, len(rows))  # noqa: S311 - test data
    alone = made(tmp_path, "alone", rows, **given)
    assert fingerprint(made(tmp_path, "shuffled", shuffled, files=4, workers=workers, **given).folder) == fingerprint(
        alone.folder
    )
    assert set(fingerprint(alone.folder)) == {
        "train.jsonl",
        "eval.jsonl",
        "attribution.jsonl",
        "manifest.json",
        "README.md",
        "card.html",
        "NOTICE.md",
    }
    reasons = {"control characters", "near-duplicate question", "same answer"}
    assert reasons <= set(dropped(alone))


def test_what_was_read_is_what_was_dropped_and_what_was_written(tmp_path: Path) -> None:
    rows = mixed_rows(400)
    dataset = made(tmp_path, "home", rows, limit=300)
    funnel = dataset.manifest.funnel
    assert funnel[0]["rows"] == len(rows)
    assert sum(int(str(one["rows"])) for one in funnel[1:]) == len(rows)
    assert dropped(dataset)["beyond --limit"] == 100
    for split in ("train", "eval"):
        lines = dataset.file(split).read_bytes().splitlines()
        assert dataset.manifest.files[f"{split}.jsonl"].rows == len(lines) == len(question_ids(dataset, split))


def test_rows_stand_in_question_id_order(tmp_path: Path) -> None:
    dataset = made(tmp_path, "home", [row(number) for number in random.Random(1).sample(range(10_000), 300)])  # noqa: S311
    for split in ("train", "eval"):
        assert question_ids(dataset, split) == sorted(question_ids(dataset, split))
    for split in ("train", "eval"):
        lines = [one.line for one in dataset.attributions(split)]
        assert lines == list(range(len(lines)))


def test_a_finished_dataset_is_found_again_untouched(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(100)])
    settings = Settings(home=tmp_path)
    first = create_dataset(settings, snapshot, DatasetOptions())
    (first.folder / "train.jsonl").write_text("touched")
    again = create_dataset(settings, snapshot, DatasetOptions())
    assert again.folder == first.folder
    assert again.file("train").read_text() == "touched"
    assert create_dataset(settings, snapshot, resolve_options(seed=1)).id != first.id
    assert sorted(path.name for path in settings.datasets_dir.glob(".*.parts")) == []


def test_a_manifest_names_the_variables_of_its_own_build(tmp_path: Path) -> None:
    rows, settings = [row(number) for number in range(100)], Settings(home=tmp_path)
    made_of = {}
    for variables in ('{"closed_questions": "keep"}', '{"closed_questions": "drop"}'):
        snapshot = write_snapshot(tmp_path / variables[-6:-2], rows, build={"variables": variables})
        dataset = create_dataset(settings, snapshot, DatasetOptions())
        made_of[dataset.id] = dataset.manifest.build["variables"]
    assert list(made_of.values()) == ['{"closed_questions": "keep"}', '{"closed_questions": "drop"}']


def test_markdown_is_written_with_the_instruction_apart_and_secrets_replaced(tmp_path: Path) -> None:
    rows = [row(number) for number in range(50)]
    rows[3]["answer_body"] = "<p>Write to some.body@mailbox-of-mine.net or use <code>x</code>, " + words(3) + "</p>"
    rows[5]["question_body"] = f"<p>Hi all,</p><p>{words(5)}</p><p>EDIT: x</p><p>Thanks!</p>"
    rows[5]["answer_body"] = f"<p>{words(505)}</p><pre><code>x\xa0=\xa01</code></pre><p>Thanks!</p>"
    dataset = made(tmp_path, "home", rows)
    answers = [answer for split in ("train", "eval") for _, answer in texts(dataset, split)]
    assert words(505) + "\n\n```\nx = 1\n```" in answers
    assert "Write to <EMAIL> or use `x`, " + words(3) in answers
    changes = {one.question_id: one.changes for split in ("train", "eval") for one in dataset.attributions(split)}
    assert changes[3] == ["converted to Markdown", "redacted 1 EMAIL"]
    assert changes[4] == ["converted to Markdown"]
    assert dataset.manifest.redactions == {"EMAIL": 1}
    assert "| `<EMAIL>` | 1 |" in (dataset.folder / "README.md").read_text()
    assert changes[5] == [
        "converted to Markdown",
        "removed 1 edit mark",
        "removed 1 greeting",
        "removed 2 thank-yous",
        "replaced 2 non-breaking spaces",
    ]
    card = (dataset.folder / "README.md").read_text()
    assert "Changes to the texts in 1 rows" in card
    assert "| removed thank-yous | 2 |" in card
    assert "| removed greetings | 1 |" in card
    assert "<td>replaced non-breaking spaces</td>" in (dataset.folder / "card.html").read_text()
    assert dataset.manifest.template == TEMPLATE


def test_html_is_left_alone_when_asked(tmp_path: Path) -> None:
    rows = [row(number) for number in range(50)]
    rows[3]["question_body"] = f"<p>Hi all,</p><p>{words(3)}</p><p>Thanks in advance</p>"
    dataset = made(tmp_path, "home", rows, body="html")
    written = {pair for split in ("train", "eval") for pair in texts(dataset, split)}
    assert written == {(f"{one['question_title']}\n\n{one['question_body']}", one["answer_body"]) for one in rows}


def test_the_attribution_names_posts_authors_and_licences(tmp_path: Path) -> None:
    rows = [row(number) for number in range(50)]
    rows[0] |= {"question_author_name": None, "question_author_url": None, "answer_author_name": "Zoë <b>"}
    dataset = made(tmp_path, "home", rows)
    first = next(one for split in ("train", "eval") for one in dataset.attributions(split) if one.question_id == 0)
    assert first.question_author == first.question_author_url == ""
    assert (first.answer_author, first.answer_author_url) == ("Zoë <b>", "https://stackoverflow.com/users/12")
    assert (first.question_url, first.answer_url) == (rows[0]["question_url"], rows[0]["answer_url"])
    assert (first.answer_license, first.answer_license_url) == (
        "CC BY-SA 4.0",
        "https://creativecommons.org/licenses/by-sa/4.0/",
    )
    assert (first.question_created_at, first.answer_created_at) == (
        "2020-01-01T00:00:00.000Z",
        "2020-01-01T01:00:00.000Z",
    )
    assert first.tags == ["python"]


def test_examples_that_share_thirteen_words_with_a_benchmark_are_dropped(tmp_path: Path) -> None:
    passage = "the thirteen words that stand here in a row are those of the exam itself"
    exam = tmp_path / "exam.jsonl"
    exam.write_text('{"prompt": ["Say: ' + passage.upper() + '"], "answer": 1}\n')
    rows = [row(number) for number in range(60)]
    rows[5]["answer_body"] = f"<p>x {passage}.</p>"
    rows[6]["question_body"] = f"<p>{passage}, {words(6)}</p>"
    rows[7]["answer_body"] = "<p>the thirteen words that stand here in a row are</p>"
    dataset = made(tmp_path, "home", rows, decontaminate=str(exam))
    assert dropped(dataset) == {"shares 13 words in a row with the benchmark": 2}
    assert {5, 6}.isdisjoint(question_ids(dataset, "train") + question_ids(dataset, "eval"))
    assert dataset.manifest.leaks["benchmark"] == 0


def test_limit_samples_nest_and_fill_both_sides(tmp_path: Path) -> None:
    rows = [row(number) for number in range(600)]
    samples = []
    for limit in (100, 200, 0):
        dataset = made(tmp_path, f"limit{limit}", rows, limit=limit)
        samples.append({split: set(question_ids(dataset, split)) for split in ("train", "eval")})
    assert [len(one["train"] | one["eval"]) for one in samples] == [100, 200, 600]
    for smaller, larger in itertools.pairwise(samples):
        for split in ("train", "eval"):
            assert smaller[split] < larger[split]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"rows": []}, "has no rows"),
        ({"rows": [row(1)]}, r"no example is left for \w+. Use more rows, or change --eval-fraction or --seed"),
        ({"rows": [row(1), row(1), row(2)]}, "has the question-answer pair 1-1000001 more than once"),
        ({"rows": [row(1), row(1, answer_id=9), row(2)], "preset": "seed"}, "has question 1 more than once"),
        ({"rows": [row(1), row(2)], "format": "trl-preference"}, "needs preferences"),
        ({"rows": [row(1), row(2)], "workers": 0}, "--workers cannot be 0"),
    ],
)
def test_what_gives_no_dataset_is_one_clear_line_and_leaves_none(
    tmp_path: Path, change: dict[str, Any], part: str
) -> None:
    with pytest.raises(TuningError, match=part):
        made(tmp_path, "home", **change)
    assert list((tmp_path / "home" / "datasets").glob("[!.]*")) == []


def test_code_is_read_before_its_secrets_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("[[rule]]\nname = 'PANDAS'\npattern = 'pandas'\n")
    answer = "<pre><code>import pandas as pd\nprint(pd.__version__)\n</code></pre>"
    rows = [row(number, answer_body=f"<p>Do {number * 7919} of it.</p>{answer}") for number in range(1, 41)]
    dataset = made(tmp_path, "home", rows, code="parses", redact_rules=tmp_path / "rules.toml", eval_fraction=0.3)
    assert sum(one["rows"] for one in dataset.manifest.funnel if one["step"] == "filter") == 0


def test_a_large_group_that_makes_the_evaluation_split_small_or_large_is_said(tmp_path: Path) -> None:
    rows = [row(number, linked_question_ids=[1] if 1 < number <= 60 else []) for number in range(1, 101)]
    dataset = made(tmp_path, "hub", rows, eval_fraction=0.2)
    rows_of_eval = dataset.manifest.files["eval.jsonl"].rows
    assert rows_of_eval < 10 or rows_of_eval > 40
    remark = f"note: {rows_of_eval} of 100 examples are for evaluation, where --eval-fraction asks for 20%"
    assert remark in "\n".join(remarks(dataset))
    assert remarks(made(tmp_path, "plain", [row(number) for number in range(1, 101)], eval_fraction=0.2)) == []


def test_a_snapshot_that_lacks_a_column_is_refused_by_name(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(9)])
    path = snapshot.files[0]
    pq.write_table(pq.read_table(path).drop_columns("answer_license"), path)
    with pytest.raises(TuningError, match="lacks the column answer_license"):
        create_dataset(Settings(home=tmp_path), snapshot, DatasetOptions())


def test_a_truncated_snapshot_is_one_clear_line(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(9)])
    path = snapshot.files[0]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TuningError, match=r"part-000\.parquet is not a complete Parquet file"):
        create_dataset(Settings(home=tmp_path), snapshot, DatasetOptions())


def test_a_dataset_describes_itself(tmp_path: Path) -> None:
    dataset = made(tmp_path, "home", [row(number) for number in range(30)])
    described = describe_dataset(dataset)
    assert "30  read: rows of the mart" in described
    assert described.endswith(f"dataset {dataset.id} (messages): {dataset.folder}")


def test_the_newest_dataset_is_the_one_that_was_made_or_reused_last(tmp_path: Path) -> None:
    rows = mixed_rows(30)
    first, second = made(tmp_path, "home", rows), made(tmp_path, "home", rows, seed=7)
    settings = Settings(home=tmp_path / "home")
    assert find_dataset(settings).id == second.id
    find_dataset(settings, first.id)  # only reads it
    assert find_dataset(settings).id == second.id
    assert made(tmp_path, "home", rows).id == first.id
    assert find_dataset(settings).id == first.id
