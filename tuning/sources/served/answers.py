"""Read the log of served answers: JSON Lines in ``var/served/``, one file for each day (UTC).

`tuning.serving.log` writes it. Each line is written whole, so a killed server loses at most its last line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from tuning.errors import TuningError
from tuning.records import decode_record, numbered_lines
from tuning.settings import Settings

_PREFIX, _SUFFIX = "answers-", ".jsonl"


class ServedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one answer and its scores, which are those of the evaluation (`tuning.evaluation.text_metrics`).

    Question and answer are redacted; the scores are of the answer as it was sent.
    """

    answer_id: str
    answered_at: datetime  # UTC
    model_version: str
    question: str
    answer: str
    finish_reason: str  # STOP, MAX_TOKENS, REPETITION
    prompt_tokens: int
    answer_tokens: int
    milliseconds: int  # from the request to the end of the answer, with the time that it waited for others
    characters: int
    has_code: bool
    is_refusal: bool
    is_empty: bool
    is_loop: bool
    is_truncated: bool
    parsing_share: float | None = None  # of the fenced Python blocks, 0-100; None without one

    def __post_init__(self) -> None:
        """Raise ValueError if the time has no zone, or if a number or a time in UTC is out of range."""
        if self.answered_at.tzinfo is None:
            raise ValueError("answered_at has no time zone")
        if not 0 <= self.milliseconds < 2**63:
            raise ValueError("milliseconds is out of range")
        try:
            self.answered_at.astimezone(UTC)
        except OverflowError as error:
            raise ValueError(f"answered_at is out of range ({error})") from None


@dataclass
class Log:
    """Hold the answers of the log, the oldest file first, and the number of damaged lines, which are left out."""

    answers: list[ServedAnswer]
    damaged: int = 0


def log_folder(settings: Settings) -> Path:
    """Return the folder of the log."""
    return settings.home / "served"


def log_file(settings: Settings, day: date) -> Path:
    """Return the file of one day."""
    return log_folder(settings) / f"{_PREFIX}{day.isoformat()}{_SUFFIX}"


def log_files(settings: Settings) -> Iterator[tuple[date, Path]]:
    """Yield the day and the path of each file, the oldest first. Other files in the folder do not count."""
    for path in sorted(log_folder(settings).glob(f"{_PREFIX}*{_SUFFIX}")):
        try:
            yield date.fromisoformat(path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)), path
        except ValueError:
            continue


def delete_old(settings: Settings, days: int, today: date) -> int:
    """Delete the files of days that are more than `days` before `today`, and return their number.

    Raises TuningError if one of them is a folder.
    """
    old = [path for day, path in log_files(settings) if day < today - timedelta(days=days)]
    for path in old:
        if path.is_dir():
            raise TuningError(f"{path} is a folder, where the answers of a day should be", "Move it away")
        path.unlink(missing_ok=True)  # another server may have deleted it
    return len(old)


def read_log(settings: Settings, since: date | None = None) -> Log:
    """Return the answers of the log, from the day `since` on.

    A line that is no JSON object was cut by a kill or a full disk: it is counted and left out. Raises TuningError if a
    file cannot be read, if a line is of a newer version of the project, or lacks a field.
    """
    log = Log([])
    for day, path in log_files(settings):
        if since is not None and day < since:
            continue
        remedy = f"Delete {path} to give up the answers of that day"
        for number, line in numbered_lines(path, remedy):
            try:
                msgspec.json.decode(line, type=dict[str, object])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                log.damaged += 1
                continue
            log.answers.append(decode_record(line, ServedAnswer, f"line {number} of {path}", remedy))
    return log


def today() -> date:
    """Return the date in UTC."""
    return datetime.now(UTC).date()
