"""Decisions about single examples: the next dataset leaves out what a person rejected, and counts it."""

from pathlib import Path

import pytest

from tests.dataset.folders import made, written_ids
from tests.marts import row
from tuning.dataset.decisions import Decision, read_decisions, write_decisions
from tuning.dataset.options import resolve_options
from tuning.errors import TuningError


def test_rejected_examples_are_left_out_counted_and_shown_on_the_card(tmp_path: Path) -> None:
    rows = [row(number) for number in range(1, 61)]
    before = made(tmp_path, rows)
    names = {about.question_id: about.example_id for split in ("train", "eval") for about in before.attributions(split)}
    gone, kept = sorted(names)[:2], sorted(names)[2]
    file = tmp_path / "decisions.jsonl"
    decisions = {names[one]: Decision(example_id=names[one], decision="reject", reason="out of date") for one in gone}
    write_decisions(file, decisions | {names[kept]: Decision(example_id=names[kept], decision="keep")})
    dataset = made(tmp_path, rows, decisions=file)
    assert written_ids(before) - written_ids(dataset) == set(gone)
    assert [one["rows"] for one in dataset.manifest.funnel if one["reason"] == "rejected in a review"] == [2]
    assert "filter: rejected in a review (2 rows)" in (dataset.folder / "card.html").read_text()
    assert dataset.id != before.id
    assert "decisions" not in before.manifest.options


def test_the_order_of_decisions_does_not_change_the_file(tmp_path: Path) -> None:
    one, other = (Decision(example_id=name, decision="reject") for name in ("1-2", "3-4"))
    write_decisions(tmp_path / "a", {"1-2": one, "3-4": other})
    write_decisions(tmp_path / "b", {"3-4": other, "1-2": one})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_decisions(tmp_path / "a") == {"1-2": one, "3-4": other}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x\n", "line 1 of .* is damaged"),
        ('{"example_id": "1-2", "decision": "drop"}\n', "line 1 of .* is damaged"),
        ('{"example_id": "1-2", "decision": "keep", "note": 1}\n', "line 1 of .* is damaged"),
        ('{"example_id": "1-2", "decision": "keep"}\n{"example_id": "1-2", "decision": "reject"}\n', "1-2 twice"),
    ],
)
def test_a_wrong_file_is_one_line_before_any_work(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "decisions").write_text(content)
    with pytest.raises(TuningError, match=said):
        resolve_options(decisions=str(tmp_path / "decisions"))
