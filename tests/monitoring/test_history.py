import platform
import subprocess
import sys
from datetime import UTC, datetime

from tuning.errors import TuningError
from tuning.monitoring.history import runs
from tuning.pipelines.release.record import ended, newest_report, read_run, start_run
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


def test_a_run_whose_command_was_killed_is_interrupted(settings: Settings) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command) as process:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for number, (pid, host, started) in enumerate(
            (
                (process.pid, platform.node(), now),
                (process.pid, platform.node(), "2020-01-01T00:00:00+00:00"),  # the number belonged to another process
                (process.pid, "elsewhere", "2020-01-01T00:00:00+00:00"),
            )
        ):
            record = {"id": f"{number}", "status": "running", "started_at": started, "host": host, "pid": pid}
            write_json(settings.runs_dir / str(number) / "run.json", record)
        assert [run.status for run in runs(settings, newest=None)] == ["running", "interrupted", "running"]
        process.kill()
    assert [run.status for run in runs(settings, newest=None)] == ["interrupted", "interrupted", "running"]
    assert read_run(settings.runs_dir / "0").status == "interrupted"


def test_a_run_that_a_person_interrupts_has_not_failed(settings: Settings) -> None:
    _, record = start_run(settings, "tune-python-qa")
    assert ended(record, KeyboardInterrupt()).status == "interrupted"
    failed = ended(record, TuningError("the step broke"))
    assert (failed.status, failed.error) == ("failed", "the step broke.")


def test_the_newest_report_names_its_run_and_counts_the_newer_ones_without_a_report(settings: Settings) -> None:
    assert newest_report(settings) is None
    for day in ("20260101", "20260102", "20260103"):
        record = {"id": f"{day}-000000-aaa", "status": "interrupted", "started_at": day}
        write_json(settings.runs_dir / record["id"] / "run.json", record)
    said = []
    for day in ("20260101", "20260102", "20260103"):
        path = settings.runs_dir / f"{day}-000000-aaa" / "report.html"
        path.write_text("")
        found = newest_report(settings)
        assert found is not None
        said.append(found.in_words.replace(str(path), "PATH"))
    assert said == [
        "report of the run 20260101-000000-aaa: PATH (2 newer runs have no report)",
        "report of the run 20260102-000000-aaa: PATH (1 newer run has no report)",
        "report of the newest run: PATH",
    ]
