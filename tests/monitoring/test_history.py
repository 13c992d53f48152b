from tuning.monitoring.history import runs
from tuning.settings import Settings
from tuning.storage import write_json


def test_the_newest_runs_are_listed_oldest_first(settings: Settings) -> None:
    for day in ("20260103", "20260101", "20260102"):
        record = {"id": f"{day}-000000-aaa", "status": "succeeded", "started_at": day, "verdict": "better", "host": "h"}
        write_json(settings.runs_dir / record["id"] / "run.json", record)
    assert [run.started_at for run in runs(settings, newest=2)] == ["20260102", "20260103"]
    assert runs(settings, newest=2)[0].verdict == "better"


def test_a_home_without_runs_has_no_history(settings: Settings) -> None:
    assert runs(settings, newest=10) == []
