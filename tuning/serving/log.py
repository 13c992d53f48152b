"""Log served answers: redacted, scored as the evaluation scores them, in one file for each day.

Nothing is logged unless the person who starts the server asks for it.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from tuning.dataset.redact.redact import redact
from tuning.errors import TuningError
from tuning.evaluation.text_metrics import score_text
from tuning.records import encode_record
from tuning.registry.predict import Prediction
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.sources.served.answers import ServedAnswer, delete_old, log_file


class AnswerLog:
    """Append answers to the log in a thread of its own, so that no request waits for the disk.

    If a line cannot be written, a warning on stderr says so, and the server goes on. Files of more than
    `settings.serve_log_days` days ago are deleted at the start and when a new day begins.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1)
        self._day = datetime.now(UTC).date()
        delete_old(settings, settings.serve_log_days, self._day)
        log_file(settings, self._day).parent.mkdir(parents=True, exist_ok=True)

    def add(self, answer_id: str, prediction: Prediction, tokens: tuple[int, int], started: float) -> None:
        """Log an answer. `tokens` are those of prompt and answer, and `started` is `time.monotonic` of the request."""
        milliseconds = round(1000 * (time.monotonic() - started))
        self._thread.submit(self._write, answer_id, prediction, tokens, milliseconds, datetime.now(UTC))

    def close(self) -> None:
        """Wait until all answers are written."""
        self._thread.shutdown()

    def _write(
        self, answer_id: str, prediction: Prediction, tokens: tuple[int, int], milliseconds: int, now: datetime
    ) -> None:
        try:
            with in_one_line():
                if now.date() != self._day:
                    self._day = now.date()
                    delete_old(self._settings, self._settings.serve_log_days, self._day)
                self._append(encode_record(_scored(answer_id, prediction, tokens, milliseconds, now)) + b"\n", now)
        except (TuningError, OSError) as error:
            print(f"warning: an answer is not in the log ({error})", file=sys.stderr, flush=True)

    def _append(self, line: bytes, now: datetime) -> None:
        """Append a line in one write, so that servers of one home do not mix their lines."""
        path = log_file(self._settings, now.date())
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)  # questions are for this user only
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # a killed server left a part of a line
                line = b"\n" + line
            while line:
                line = line[os.write(handle, line) :]
        finally:
            os.close(handle)


def _scored(
    answer_id: str, prediction: Prediction, tokens: tuple[int, int], milliseconds: int, now: datetime
) -> ServedAnswer:
    scores = score_text(prediction.answer, prediction.finish_reason)
    question = f"{prediction.title}\n\n{prediction.body}".strip()
    return ServedAnswer(
        answer_id=answer_id,
        answered_at=now,
        model_version=prediction.model,
        question=redact(question)[0],
        answer=redact(prediction.answer)[0],
        finish_reason=prediction.finish_reason,
        prompt_tokens=tokens[0],
        answer_tokens=tokens[1],
        milliseconds=milliseconds,
        characters=len(prediction.answer),
        has_code=bool(scores["code"]),
        is_refusal=bool(scores["refusal"]),
        is_empty=bool(scores["empty"]),
        is_loop=bool(scores["loop"]),
        is_truncated=bool(scores["truncated"]),
        parsing_share=scores.get("parses"),
    )
