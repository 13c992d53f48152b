"""The pages of a dataset of own files, which have no tags, times, licences and addresses."""

from pathlib import Path

from tests.dataset.own.test_own_data import made, pairs, write
from tuning.dataset.decisions import Decision, write_decisions
from tuning.settings import Settings
from tuning.site.build import make_site


def test_own_data_have_pages_without_empty_charts(tmp_path: Path) -> None:
    dataset = made(tmp_path / "home", [write(tmp_path / "mine.jsonl", pairs(range(60)))])
    site = make_site(Settings(home=tmp_path / "home"), newest_runs=5).parent
    page = (site / "datasets" / dataset.id / "index.html").read_text()
    assert page.count("<figcaption>") == 3
    assert "rows of the files" in page
    assert 'id="train-1"' in (site / "datasets" / dataset.id / "examples-1.html").read_text()
    assert 'id="dropped"' in (site / "datasets" / dataset.id / "card.html").read_text()


def test_rows_of_own_files_are_rejected_by_file_and_line(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", pairs(range(60)))
    write_decisions(tmp_path / "decisions", {"x": Decision(example_id="mine.jsonl:3", decision="reject")})
    dataset = made(tmp_path / "home", [file], decisions=str(tmp_path / "decisions"))
    assert {row["reason"]: row["rows"] for row in dataset.manifest.funnel}["rejected in a review"] == 1
    names = {about.example_id for split in ("train", "eval") for about in dataset.attributions(split)}
    assert "mine.jsonl:3" not in names
    assert len(names) == 59
