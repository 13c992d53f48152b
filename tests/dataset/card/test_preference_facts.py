"""Test what the card says of preference pairs, and which pairs are dropped because their answers are too similar."""

import datetime
from pathlib import Path
from typing import Any

from tests.marts import preference_row, words, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.options import resolve_options
from tuning.settings import Settings


def made(tmp_path: Path, rows: list[dict[str, Any]]) -> Dataset:
    snapshot = write_snapshot(tmp_path / "snapshot", rows, kind="preferences")
    return create_dataset(Settings(home=tmp_path), snapshot, resolve_options(format="trl-preference"), 1)


def pair(number: int, better: str, worse: str, days: tuple[float, float] = (1, 3), **values: Any) -> dict[str, Any]:
    asked = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    times = {
        f"{side}_created_at": asked + datetime.timedelta(days=after)
        for side, after in zip(("chosen", "rejected"), days, strict=True)
    }
    texts = {"chosen_body": f"<p>{better}</p>", "rejected_body": f"<p>{worse}</p>"}
    return preference_row(number, question_created_at=asked, **times, **texts, **values)


def test_the_card_compares_length_age_and_similarity_of_both_sides(tmp_path: Path) -> None:
    rows = [pair(number, words(number, 60), words(number + 1000, 30)) for number in range(30)]
    rows += [pair(number, words(number, 10), words(number + 1000, 20), days=(5, 2)) for number in range(30, 40)]
    dataset = made(tmp_path, rows)
    text = (dataset.folder / "README.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith(("| days", "| is the", "| characters, m"))]
    assert lines[1:] == [
        "| days after the question, median | 1.0 | 3.0 |",
        "| is the longer of the two | 75% | 25% |",
        "| is the older of the two | 75% | 25% |",
    ]
    assert "median 0.00, 95th percentile 0.00, maximum 0.00" in text
    assert "Better answer" in (dataset.folder / "card.html").read_text()


def test_pairs_of_nearly_equal_answers_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [pair(number, words(number), words(number + 1000)) for number in range(40)]
    rows += [pair(number, words(number, 80), words(number, 80) + " indeed") for number in range(40, 45)]
    rows += [pair(45, "Use the walrus ...", "use THE  walrus ...")]
    rows += [pair(47, f"{words(47, 40)} {words(1047, 40)}", f"{words(47, 40)} {words(2047, 40)}")]
    dataset = made(tmp_path, rows)
    steps = {row["reason"]: row["rows"] for row in dataset.manifest.funnel}
    assert steps["better and worse answer nearly the same"] == 6
    assert "maximum 0.3" in (dataset.folder / "README.md").read_text()


def test_several_pairs_of_a_question_are_no_duplicates_and_stay_on_one_side(tmp_path: Path) -> None:
    rows = []
    for number in range(60):
        for nth in range(3):
            ids = {"chosen_answer_id": 10_000 + number * 10 + nth, "rejected_answer_id": 20_000 + number * 10 + nth}
            example = {"example_id": f"{number}-{ids['chosen_answer_id']}"}
            rows.append(
                pair(number, words(number * 10 + nth + 5000), words(number * 10 + nth + 9000), **ids, **example)
            )
    dataset = made(tmp_path, rows)
    lines = (dataset.folder / "attribution.jsonl").read_text().splitlines()
    sides: dict[str, set[str]] = {}
    for line in lines:
        sides.setdefault(line.split('"question_id":')[1].split(",")[0], set()).add(line.split('"')[3])
    assert len(lines) == 180
    assert {len(side) for side in sides.values()} == {1}
