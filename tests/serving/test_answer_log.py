"""The log of served answers: off by default, redacted, whole lines, deleted after some days, and compared."""

import json
import subprocess
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.homes import free_port
from tests.invoked import Result, invoke_here
from tests.registry.candidates import register
from tests.serving.conftest import Server, command, environment, register_toy
from tests.serving.toy_tuner import KEY, NAME
from tuning.errors import TuningError
from tuning.evaluation.records import Interval
from tuning.monitoring.served import served_drift, served_lines
from tuning.records import encode_record
from tuning.registry.predict import Prediction
from tuning.serving.log import AnswerLog
from tuning.settings import PROJECT_ROOT, Settings
from tuning.sources.served.answers import ServedAnswer, delete_old, log_file, log_files, log_folder, read_log, today
from tuning.tuners.protocol import Model

MAIL = "ada.lovelace@analytical-engines.co.uk"


@pytest.fixture
def log(settings: Settings) -> AnswerLog:
    return AnswerLog(msgspec.structs.replace(settings, serve_log=True))


def add(log: AnswerLog, answer: str, finish_reason: str = "STOP", answer_id: str = "a", title: str = "How?") -> None:
    prediction = Prediction(
        title=title, body="", answer=answer, finish_reason=finish_reason, secrets=[], notes=[], model="v1"
    )
    log.add(answer_id, prediction, (5, 7), time.monotonic() - 2)


def test_an_answer_is_logged_redacted_and_with_the_scores_of_the_evaluation(settings: Settings, log: AnswerLog) -> None:
    add(log, f"Write to {MAIL}:\n\n```python\nprint(1)\n```\n\n```python\nprint(\n```", title=f"Who is {MAIL}?")
    add(log, "I'm sorry, no. " * 9, "REPETITION", "b")
    log.close()
    first, second = read_log(settings).answers
    assert first.question == "Who is <EMAIL>?"
    assert first.answer.startswith("Write to <EMAIL>:")
    assert (first.model_version, first.finish_reason, first.prompt_tokens, first.answer_tokens) == ("v1", "STOP", 5, 7)
    assert 2_000 <= first.milliseconds < 60_000
    assert (first.has_code, first.parsing_share, first.is_refusal, first.is_loop) == (True, 50.0, False, False)
    assert (second.has_code, second.parsing_share, second.is_refusal) == (False, None, True)
    assert (second.is_loop, second.is_truncated, second.is_empty) == (True, True, False)
    path = log_file(settings, first.answered_at.date())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["format_version"] for line in path.read_text().splitlines()] == [1, 1]


def test_a_line_that_a_kill_cut_is_counted_and_the_next_one_is_whole(settings: Settings, log: AnswerLog) -> None:
    add(log, "one")
    log.close()
    path = log_file(settings, today())
    path.write_bytes(path.read_bytes() + b'{"answer_id": "cut')
    again = AnswerLog(settings)
    add(again, "two", answer_id="b")
    again.close()
    found = read_log(settings)
    assert ([one.answer for one in found.answers], found.damaged) == (["one", "two"], 1)


def test_a_log_of_a_newer_version_is_refused(settings: Settings) -> None:
    log_folder(settings).mkdir(parents=True)
    log_file(settings, today()).write_text('{"format_version": 99}\n')
    with pytest.raises(TuningError, match="written by a newer version"):
        read_log(settings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answered_at": "2026-01-01T00:00:00"}, "answered_at has no time zone"),
        ({"answered_at": "0001-01-01T00:00:00+14:00"}, "answered_at is out of range"),
        ({"answered_at": "9999-12-31T23:59:59-12:00"}, "answered_at is out of range"),
        ({"milliseconds": 10**400}, "milliseconds is out of range"),
    ],
)
def test_a_value_that_nothing_can_compute_with_is_damage(
    change: dict[str, object], said: str, settings: Settings, log: AnswerLog
) -> None:
    add(log, "one")
    log.close()
    path = log_file(settings, today())
    line = json.loads(path.read_text())
    path.write_text(json.dumps(line | change))
    with pytest.raises(TuningError, match=rf"line 1 of .* is damaged \({said}"):
        read_log(settings)


def test_old_days_are_deleted_at_the_start_and_other_files_stay(settings: Settings) -> None:
    folder = log_folder(settings)
    folder.mkdir(parents=True)
    for age in (0, 29, 30, 31, 400):
        log_file(settings, today() - timedelta(days=age)).write_text("")
    (folder / "answers-mine.jsonl").write_text("")
    AnswerLog(msgspec.structs.replace(settings, serve_log_days=30)).close()
    assert [(today() - day).days for day, _ in log_files(settings)] == [30, 29, 0]
    assert (folder / "answers-mine.jsonl").exists()


def test_old_days_are_deleted_when_a_new_day_begins(settings: Settings, log: AnswerLog) -> None:
    log_file(settings, today() - timedelta(days=40)).write_text("")
    log._day = date(2020, 1, 1)
    add(log, "one")
    log.close()
    assert [day for day, _ in log_files(settings)] == [today()]


def test_a_disk_that_refuses_a_line_is_a_warning_and_the_next_answer_is_logged(
    settings: Settings, log: AnswerLog, capsys: pytest.CaptureFixture[str]
) -> None:
    log_folder(settings).rmdir()
    add(log, "one")
    log._thread.submit(log_folder(settings).mkdir)
    add(log, "two")
    log.close()
    assert capsys.readouterr().err.startswith("warning: an answer is not in the log (")
    assert [one.answer for one in read_log(settings).answers] == ["two"]


def started(home: Path, *arguments: str) -> Server:
    port = free_port()
    process = subprocess.Popen(
        command("--model", "v1", "--port", str(port), *arguments),
        cwd=PROJECT_ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    while line := process.stdout.readline():
        if line.startswith("serving "):
            break
    return Server(process, port)


def test_the_server_logs_only_if_it_is_asked_to(settings: Settings) -> None:
    register_toy(settings, "one", NAME)
    for arguments, answers in (((), []), (("--log",), ["one: How?", "<AWS_KEY>"])):
        server = started(settings.home, *arguments)
        try:
            client = server.client()
            for question, stream in (("How?", False), ("key", True)):
                messages = [{"role": "user", "content": question}]
                reply = client.chat.completions.create(model="v1", messages=messages, stream=stream)  # type: ignore[call-overload]
                list(reply) if stream else None
        finally:
            server.process.terminate()
            server.process.communicate(timeout=30)
        assert [one.answer for one in read_log(settings).answers] == answers
    assert KEY not in "".join(path.read_text() for _, path in log_files(settings))


def test_a_folder_in_place_of_a_file_is_one_line(settings: Settings) -> None:
    day = today() - timedelta(days=9)
    log_file(settings, day).mkdir(parents=True)
    with pytest.raises(
        TuningError, match=rf"answers-{day}.jsonl cannot be read .*Delete .*answers-{day}.jsonl to give"
    ):
        read_log(settings)
    with pytest.raises(TuningError, match=rf"answers-{day}.jsonl is a folder.*Move it away"):
        delete_old(settings, 5, today())


# ---- the comparison with the evaluation


def served(settings: Settings, answers: int, **fields: object) -> None:
    values: dict[str, object] = {
        "answer_id": "a",
        "answered_at": datetime.now(UTC),
        "model_version": "v1",
        "question": "How?",
        "answer": "So.",
        "finish_reason": "STOP",
        "prompt_tokens": 5,
        "answer_tokens": 7,
        "milliseconds": 100,
        "characters": 100,
        "has_code": True,
        "is_refusal": False,
        "is_empty": False,
        "is_loop": False,
        "is_truncated": False,
        "parsing_share": 100.0,
    }
    line = encode_record(msgspec.convert(values | fields, ServedAnswer)) + b"\n"
    log_folder(settings).mkdir(parents=True, exist_ok=True)
    with log_file(settings, today()).open("ab") as file:
        file.write(line * answers)


def evaluated(settings: Settings, tmp_path: Path, **means: float) -> str:
    """Register a version whose evaluation's 96 answers have these means."""
    means = {"loop": 5.0, "refusal": 0.0, "code": 95.0, "parses": 95.0, "characters": 120.0} | means
    work = tmp_path / "work"
    work.mkdir()
    metrics = {name: Interval(mean, mean, mean, 96) for name, mean in means.items()}
    return register(settings, Model(tuner="hf", base_model="small", uri="weights"), work, answer_metrics=metrics)


def far(settings: Settings) -> list[str]:
    return [one.name for one in served_drift(settings, 7).measures if one.is_far]


def test_answers_like_those_of_the_evaluation_are_steady(settings: Settings, tmp_path: Path) -> None:
    evaluated(settings, tmp_path)
    served(settings, 95)
    served(settings, 5, is_loop=True)
    assert far(settings) == []


@pytest.mark.parametrize(
    ("fields", "moved"),
    [
        ({"is_loop": True}, ["loop"]),
        ({"is_refusal": True, "has_code": False}, ["code", "refusal"]),
        ({"parsing_share": 0.0}, ["parses"]),
        ({"characters": 900}, ["characters"]),
        ({"characters": 10}, []),  # the mean of all is not below half
    ],
)
def test_a_metric_of_many_answers_that_differs_a_lot_is_named(
    settings: Settings, tmp_path: Path, fields: dict[str, object], moved: list[str]
) -> None:
    evaluated(settings, tmp_path)
    served(settings, 60)
    served(settings, 40, **fields)
    assert sorted(far(settings)) == moved


def test_few_answers_a_small_difference_or_an_uncertain_one_are_no_drift(settings: Settings, tmp_path: Path) -> None:
    evaluated(settings, tmp_path)
    served(settings, 49, is_loop=True)
    assert far(settings) == []
    assert {one.verdict for one in served_drift(settings, 7).measures} == {"too few answers"}
    served(settings, 700)
    assert far(settings) == []  # 6.5% against 5%


def test_only_the_version_that_answered_last_is_compared(settings: Settings, tmp_path: Path) -> None:
    evaluated(settings, tmp_path)
    served(settings, 60, is_loop=True, model_version="v9", answered_at=datetime(2020, 1, 1, tzinfo=UTC))
    served(settings, 60)
    assert far(settings) == []
    served(settings, 1, model_version="v9", answered_at=datetime.now(UTC) + timedelta(seconds=9))
    drift = served_drift(settings, 7)
    assert (drift.version, drift.measures) == ("v9", [])
    assert "v9 is not in the registry" in "\n".join(served_lines(drift, 7))


def test_the_command_ends_with_3_on_drift_and_starts_a_refresh_if_asked(settings: Settings, tmp_path: Path) -> None:
    def monitor(*arguments: str) -> Result:
        # No warehouse answers there, so the refresh ends at once.
        endpoint = f"http://127.0.0.1:{free_port()}"
        return invoke_here("monitor", "--served", *arguments, TUNING_BIGQUERY_ENDPOINT=endpoint)

    evaluated(settings, tmp_path)
    served(settings, 60)
    assert monitor().returncode == 0
    served(settings, 60, is_loop=True)
    result = monitor()
    assert (result.returncode, result.stderr) == (3, "")
    assert "60 served answers" not in result.stdout
    assert [line for line in result.stdout.splitlines() if line.startswith("loop") and " far " in line]
    assert "no BigQuery server answers" in monitor("--retune").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--log-days", "3"], "error: --log-days needs a log. Add --log, or leave it out"),
        (["monitor", "--served"], "0 served answers of any version in the last 7 days"),
    ],
)
def test_options_that_need_a_log_say_so(arguments: list[str], said: str) -> None:
    result = invoke_here(*arguments)
    assert (result.stderr or result.stdout).startswith(said)


def test_an_old_version_and_an_empty_log_have_nothing_to_compare(settings: Settings, tmp_path: Path) -> None:
    assert "`invoke serve --log` begins a log" in "\n".join(served_lines(served_drift(settings, 7), 7))
    work = tmp_path / "work"
    work.mkdir()
    register(settings, Model(tuner="hf", base_model="small", uri="weights"), work)
    served(settings, 60)
    assert "was registered without the scores" in "\n".join(served_lines(served_drift(settings, 7), 7))
