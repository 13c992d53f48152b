"""The display of progress, in a terminal of its own and without one."""

import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from tuning.pipelines.local.log import Events
from tuning.progress import RELAYED, Relay, counted, is_relayed, progress, stage
from tuning.settings import PROJECT_ROOT

WORK = """
import sys, time
from tuning.progress import progress, stage
from tuning.visible import visible_output
with visible_output(), stage("build", 2, 9):
    print("one line \\u202e \\x1b[31m")
    with progress("dbt build", 40, "nodes") as advance:
        for number in range(40):
            advance(1)
            time.sleep(0.03)
            if number == 20:
                print("to stdout", flush=True)
                print("to stderr", file=sys.stderr)
    print("the last", end="")
print("done")
"""
DRAWN = re.compile(r"- 2/9 build|[-\\|/] 2/9 build ━+╺?━* +\d+/40 nodes, [\d.]+/s 0:0\d left")


def in_terminal(script: str, after: str = "", **environ: str) -> tuple[int, str]:
    """The status and all that a script writes to its terminal. Ctrl-C is pressed when `after` is seen."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=PROJECT_ROOT,
        env={**environment, "TERM": "xterm", "COLUMNS": "100", **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written, pressed = b"", False
    while True:
        try:
            content = os.read(ours, 65536)
        except OSError:  # Linux says so at the end
            break
        if not content:
            break
        written += content
        if after and not pressed and after in written.decode(errors="replace"):
            pressed = True
            process.send_signal(signal.SIGINT)
    os.close(ours)
    return process.wait(60), written.decode()


def screen(written: str) -> str:
    """What a terminal shows in the end: rich moves up, to the left, and erases whole lines."""
    rows, row, column = [""], 0, 0
    for found in re.finditer(r"\x1b\[(\d*)([A-Za-z])|\x1b\[[?;\d]*[A-Za-z]|[^\x1b]", written):
        if found[0] == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif found[0] == "\r":
            column = 0
        elif found[2] == "A":
            row -= int(found[1] or 1)
        elif found[2] == "K":
            rows[row] = ""
        elif len(found[0]) == 1:
            rows[row] = rows[row][:column].ljust(column) + found[0] + rows[row][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in rows).strip()


SHOWN = "one line {U+202E} {U+001B}[31m\nto stdout\nto stderr\nthe lastdone"


def test_a_terminal_shows_stage_count_rate_and_time_left_and_keeps_what_is_printed() -> None:
    status, written = in_terminal(WORK)
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", written)
    assert status == 0
    assert {match[0][2:11] for match in DRAWN.finditer(plain)} == {"2/9 build"}
    assert re.search(r"\d+/40 nodes, [\d.]+/s 0:0\d left", plain)
    assert screen(written) == SHOWN
    assert "\x1b[?25l" not in written  # a killed process would leave the terminal without a cursor
    assert "\x1b[31m" not in written
    frames = plain.count("2/9 build")
    assert frames < 40  # not one for each count


def test_no_color_takes_the_colors_away() -> None:
    assert re.search(r"\x1b\[[\d;]+m", in_terminal(WORK)[1])
    status, written = in_terminal(WORK, NO_COLOR="1")
    assert (status, screen(written)) == (0, SHOWN)
    assert "2/9 build" in written
    assert not re.search(r"\x1b\[[\d;]+m", written)


@pytest.mark.parametrize("terminal", ["dumb", "", None])
def test_a_dumb_or_unknown_terminal_and_a_pipe_get_lines_and_nothing_else(terminal: str | None) -> None:
    if terminal is not None:
        written = in_terminal(WORK, TERM=terminal)[1].replace("\r\n", "\n").strip()
    else:
        command = [sys.executable, "-c", WORK]
        done = subprocess.run(
            command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
        )
        written = done.stdout.strip()
    assert written == SHOWN


def test_ctrl_c_leaves_a_clean_terminal() -> None:
    status, written = in_terminal(WORK.replace("0.03", "0.5"), after="/40 nodes")
    assert status == -signal.SIGINT
    shown = screen(written).splitlines()
    assert shown[0].startswith("one line")
    assert (shown[1], shown[-1]) == ("Traceback (most recent call last):", "KeyboardInterrupt")
    assert not any("2/9" in line or "40 nodes" in line for line in shown)


def test_what_goes_to_a_file_is_not_sent_to_the_terminal() -> None:
    script = f"import sys, io\nsys.stdout = open('/dev/null', 'w')\n{WORK}"
    status, written = in_terminal(script)
    assert (status, screen(written)) == (0, "to stderr")


def test_a_process_of_a_pipeline_relays_its_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(RELAYED, "1")
    monkeypatch.setattr("tuning.progress._RELAY_SECONDS", 0)
    with stage("tune"), progress("training", 40, "steps") as advance:
        advance(3)
        advance(2)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["progress: 0 40 steps", "progress: 3 40 steps", "progress: 5 40 steps", "progress: end"]
    shown: list[tuple[str, float | None, str]] = []
    counts: list[float] = []

    class Display:
        def __init__(self, *about: object) -> None:
            shown.append(about)  # type: ignore[arg-type]

        def __enter__(self) -> object:
            return counts.append

        def __exit__(self, *_: object) -> None:
            counts.append(-1)

    monkeypatch.setattr("tuning.progress.progress", Display)
    relay = Relay()
    for line in [*lines[:3], "progress: damaged", "progress: x y z", "progress: 2 - rows", "progress: 1 9 rows"]:
        assert is_relayed(line)
        relay.take(line)
    relay.close()
    assert shown == [("steps", 40, "steps"), ("rows", None, "rows"), ("rows", 9, "rows")]
    assert counts == [0, 3, 2, -1, 2, -1, 1, -1]


def test_items_are_counted_after_their_use(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(RELAYED, "1")
    monkeypatch.setattr("tuning.progress._RELAY_SECONDS", 0)
    for item in counted("ab", "letters", 1_234_567, "letters"):
        print(item)
    lines = ["0 1234567 letters", "a", "1 1234567 letters", "b", "2 1234567 letters", "end"]
    assert [line.removeprefix("progress: ") for line in capsys.readouterr().out.splitlines()] == lines
    monkeypatch.delenv(RELAYED)
    assert list(counted("ab", "letters", 2, "letters")) == ["a", "b"]
    assert capsys.readouterr().out == ""


def test_a_step_of_a_pipeline_is_a_stage_and_its_counts_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
from tuning.pipelines.local.log import Events, Stages
import time
events = Events(print, stages=Stages(5, 13))
for line in ["INFO - Executing task 'evaluate-base'", "asking the base model 1 held-out", "answered 20 of 96 questions",
             "    progress: 0 96 questions", "    progress: 48 96 questions"]:
    events.feed(line)
    time.sleep(0.6)
events.feed("INFO - Task 'evaluate-base' finished with status SUCCESS")
"""
    written = in_terminal(script)[1]
    shown = screen(written).splitlines()
    assert shown[0].strip() == "asking the base model 1 held-out"
    assert "3 evaluate base" in shown[-1]
    assert len(shown) == 2
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", written)
    assert "6/13 evaluate base" in plain
    assert re.search(r"48/96 questions, \d+/s 0:0\d left", plain)  # after a single count
    lines: list[str] = []
    events = Events(lines.append)
    for line in ["INFO - Executing task 'evaluate-base'", "answered 20 of 96 questions", "progress: 1 2 rows"]:
        events.feed(line)
    assert lines == ["      answered 20 of 96 questions"]
