"""Check a dataset against Vertex AI's limits before anything is sent. Each file is read once."""

from dataclasses import dataclass

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.dataset.formats.limits import GEMINI, Limits
from tuning.dataset.formats.records import Example, Format
from tuning.dataset.tokens import BYTES_PER_TOKEN
from tuning.errors import TuningError
from tuning.gcs.object_file import Source
from tuning.tuners.protocol import Problem


@dataclass
class _Seen:
    rows: int = 0
    bytes: int = 0
    too_long: int = 0
    empty: int = 0
    broken: str = ""


def check_limits(dataset: Dataset) -> list[Problem]:
    """Return the problems of a dataset: fatal if Vertex AI would refuse it, otherwise advice."""
    train = _look(dataset.file("train"), dataset.manifest.format, GEMINI)
    evaluation = _look(dataset.file("eval"), dataset.manifest.format, GEMINI)
    return [*_sizes(GEMINI, train, evaluation), *_lines("train", GEMINI, train), *_lines("eval", GEMINI, evaluation)]


def characters(example: Example) -> int:
    """Return the number of characters in prompt, answer and rejected answer: all that the tuning reads."""
    return sum(len(message.content) for message in example.prompt) + len(example.answer) + len(example.rejected or "")


def _sizes(limits: Limits, train: _Seen, evaluation: _Seen) -> list[Problem]:
    problems = []
    least, most = limits.train_rows
    if not least <= train.rows <= most:
        problems.append(
            Problem(
                f"{limits.name} accepts {least:,} to {most:,} training rows, but the dataset has {train.rows:,}",
                "Change --limit",
            )
        )
    elif train.rows < limits.advised_rows:
        problems.append(
            Problem(
                f"the dataset has only {train.rows:,} training rows; at least {limits.advised_rows} are recommended",
                "Raise --limit",
                fatal=False,
            )
        )
    if train.bytes > limits.train_bytes:
        problems.append(
            Problem(
                f"{limits.name} accepts at most {limits.train_bytes:,} bytes, but train.jsonl has {train.bytes:,}",
                "Lower --limit",
            )
        )
    most = limits.evaluation(train.rows)
    if evaluation.rows > most:
        problems.append(
            Problem(
                f"{limits.name} accepts at most {most:,} evaluation rows for {train.rows:,} training rows, but the "
                f"dataset has {evaluation.rows:,}",
                "The pipeline samples them in its validation step. Or build the dataset with a lower --eval-fraction",
            )
        )
    return problems


def _lines(split: str, limits: Limits, seen: _Seen) -> list[Problem]:
    problems = []
    if seen.broken:
        problems.append(Problem(f"{split}.jsonl: {seen.broken}", "Run `invoke dataset` to build it again"))
    if seen.empty:
        problems.append(
            Problem(
                f"{split}.jsonl has {seen.empty:,} rows without a prompt or an answer",
                "Run `invoke dataset` to build it again",
            )
        )
    if seen.too_long:
        problems.append(
            Problem(
                f"{split}.jsonl has about {seen.too_long:,} rows with more than {limits.example_tokens:,} tokens",
                "Build the dataset with --max-length to leave them out",
            )
        )
    return problems


def _look(source: Source, dataset_format: Format, limits: Limits) -> _Seen:
    seen = _Seen()
    with source.open("rb") as file:
        for number, line in enumerate(file):
            seen.rows += 1
            seen.bytes += len(line)
            try:
                example = parse_line(dataset_format, line)
            except TuningError as error:
                seen.broken = seen.broken or f"line {number + 1} is not in the format {dataset_format} ({error})"
                continue
            seen.empty += not example.answer.strip() or not example.prompt[-1].content.strip()
            seen.too_long += characters(example) / BYTES_PER_TOKEN > limits.example_tokens
    return seen
