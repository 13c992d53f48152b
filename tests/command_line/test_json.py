"""`--json`: one document on stdout and nothing else, with the numbers of the text."""

import copy
import datetime
import json
import math
import tarfile
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

import tasks
from tests.pipelines.small_dataset import write_dataset
from tuning.cloud.estimate import Cost
from tuning.command import command
from tuning.command_line.report import Report
from tuning.errors import TuningError
from tuning.findings import Finding
from tuning.settings import Settings
from tuning.warehouse.explore import TableFacts


@pytest.fixture(scope="module")
def archive() -> Path:
    return Path(__file__).parents[1] / "home" / "old_home.tar.xz"


@pytest.fixture
def home(settings: Settings, archive: Path) -> Settings:
    """A home with a registered champion, a run and two datasets."""
    with tarfile.open(archive) as packed:
        packed.extractall(settings.home.parent, filter="data")
    (settings.home.parent / "old_home").rename(settings.home)
    write_dataset(settings.datasets_dir / "newest", train=20, evaluation=10)
    return settings


def printed(task: Any, capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[Any, str]:
    """Run the task as JSON and as text. Return the document, and the text."""
    task(Context(), json=True, **options)
    out = capsys.readouterr().out
    document = json.loads(out)
    assert out == json.dumps(document, indent=2) + "\n"
    task(Context(), **options)
    return document, capsys.readouterr().out


def test_the_settings(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    rows, text = printed(tasks.config, capsys)
    assert [row["name"] for row in rows] == list(Settings.__struct_fields__)
    for row in rows:
        assert f"{row['name']:22} {row['value'] or '-':40} {row['origin']:24} {row['description']}" in text


def test_the_models_and_their_history(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    models, text = printed(tasks.models, capsys)
    assert models["champion"] == "v1"
    (version,) = models["versions"]
    for value in (version["name"], version["dataset_id"], version["verdict"]["status"]):
        assert value in text
    events, text = printed(tasks.models, capsys, history=True)
    assert [event["action"] in text for event in events] == [True, True]


def test_the_drift_and_the_runs(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    watched, text = printed(tasks.monitor, capsys)
    assert watched["dataset"] == "newest"
    assert f"{watched['drift']['added']:,} examples are new, {watched['drift']['removed']:,} are gone" in text
    assert len(watched["drift"]["measures"]) > 3
    for measure in watched["drift"]["measures"]:
        assert f"{measure['drift']:8.3f}  {measure['verdict']}" in text
    assert [run["id"] in text for run in watched["runs"]] == [True]


def test_the_state_of_a_run(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    run, text = printed(tasks.job_status, capsys)
    assert text.startswith(f"{run['id']} {run['status']}")
    assert len(run["steps"]) == len(text.splitlines()) - 1


def test_the_state_of_the_warehouse(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    state, text = printed(tasks.status, capsys)
    assert (state["running"], state["endpoint"], state["home"]) == (False, None, str(settings.home))
    assert "is not running" in text


def test_the_dataset_of_own_files(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"question": f"How much is {number} and {number * 7}?", "answer": str(number * 8)} for number in range(60)]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made, text = printed(tasks.dataset, capsys, train=[str(tmp_path / "sums.jsonl")])
    assert f"dataset {made['id']} (messages): {made['address']}" in text
    for row in made["manifest"]["funnel"]:
        assert f"{row['rows']:>9,}  {row['step']}: {row['reason']}" in text


def test_the_findings_of_checks(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Finding("right", "the bucket"), Finding("wrong", "the role", "grant it")]
    monkeypatch.setattr("tuning.cloud.check.check", lambda _: iter(found))
    monkeypatch.setattr("tuning.monitoring.doctor.examine", lambda _: iter(found))
    for task in (tasks.cloud_check, tasks.doctor):
        with pytest.raises(Exit, match=r"1 checks found a problem. The first: the role"):
            task(Context(), json=True)
        assert [row["state"] for row in json.loads(capsys.readouterr().out)] == ["right", "wrong"]


def test_an_estimate_over_the_budget(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = [Cost("build", "66 GB", 0.4125, math.nan), Cost("tuning", "3 tokens", 7.5, 60.0, ("a note",))]
    monkeypatch.setattr("tuning.cloud.estimate_command.estimate_all", lambda *_: costs)
    document, text = printed(tasks.estimate, capsys)
    assert [(cost["dollars"], cost["seconds"]) for cost in document["costs"]] == [(0.4125, None), (7.5, 60.0)]
    assert "7.50" in text
    with pytest.raises(Exit, match=r"about 7\.91 dollars, more than the budget of 2\.00"):
        tasks.estimate(Context(), json=True, budget="2")
    assert json.loads(capsys.readouterr().out)["budget"] == 2


def test_tables_and_their_rows(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"id": 7, "title": "Why?", "at": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), "tags": ["a"]}
    monkeypatch.setattr("tuning.warehouse.explore.list_tables", lambda _: [TableFacts("users", 1234, None)])
    monkeypatch.setattr("tuning.warehouse.explore.peek", lambda *_: iter([row]))
    assert printed(tasks.tables, capsys)[0] == [{"name": "users", "rows": 1234, "bytes": None}]
    assert printed(tasks.peek, capsys, table="users")[0] == [{**row, "at": "2020-01-01T00:00:00Z"}]


def test_each_task_that_reports_has_the_option() -> None:
    names = {name for name in tasks.namespace.task_names if "json" in {a.name for a in _arguments(name)}}
    assert names == {
        *("config", "doctor", "warehouse.status", "explore.tables", "explore.peek", "split", "dataset", "evaluate"),
        *("models", "monitor", "status", "estimate", "cloud.check"),
    }


def _arguments(name: str) -> Any:
    return copy.deepcopy(tasks.namespace[name]).get_arguments()


def test_what_a_task_prints_besides_goes_to_stderr_and_the_document_hides_nothing(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise TuningError("too much")

    @command
    def tell(c: Context, settings: Settings) -> Report:
        """Tell."""
        print("working")
        return Report({"text": "a\u202eb", "number": float("nan"), "path": settings.home}, ["a\u202eb"], refuse)

    with pytest.raises(Exit, match="too much"):
        tell(Context(), json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"text": "a\u202eb", "number": None, "path": str(settings.home)}
    assert captured.out.isascii()
    assert captured.err == "working\n"
    with pytest.raises(Exit, match="too much"):
        tell(Context())
    assert capsys.readouterr().out == "working\na{U+202E}b\n"
