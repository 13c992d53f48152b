"""Whether a dataset is within Vertex AI's limits: one pass over its two files, before anything is sent."""

from dataclasses import dataclass

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.dataset.formats.limits import Limits
from tuning.dataset.formats.records import Example, Format
from tuning.errors import TuningError
from tuning.gcs.object_file import Source
from tuning.tuners.gemini.models import limits_of
from tuning.tuners.protocol import Problem

# Characters per token of text with code, on the safe side: Gemini's tokenizer takes about four.
CHARACTERS_PER_TOKEN = 3.0


@dataclass
class _Seen:
    rows: int = 0
    bytes: int = 0
    too_long: int = 0
    empty: int = 0
    broken: str = ""


def check_limits(dataset: Dataset) -> list[Problem]:
    """What Vertex AI would refuse (fatal) or what it advises against."""
    limits = limits_of(dataset.manifest.format)
    train = _look(dataset.file("train"), dataset.manifest.format, limits)
    evaluation = _look(dataset.file("eval"), dataset.manifest.format, limits)
    return [*_sizes(limits, train, evaluation), *_lines("train", limits, train), *_lines("eval", limits, evaluation)]


def characters(example: Example) -> int:
    """Of everything that the tuning reads."""
    return sum(len(message.content) for message in example.prompt) + len(example.answer) + len(example.rejected or "")


def _sizes(limits: Limits, train: _Seen, evaluation: _Seen) -> list[Problem]:
    problems = []
    least, most = limits.train_rows
    if not least <= train.rows <= most:
        problems.append(
            Problem(
                f"{limits.name} takes {least:,} to {most:,} train rows, and there are {train.rows:,}", "See --limit"
            )
        )
    elif train.rows < limits.advised_rows:
        problems.append(
            Problem(f"{train.rows:,} train rows are few: {limits.advised_rows} are advised", "See --limit", fatal=False)
        )
    if train.bytes > limits.train_bytes:
        problems.append(
            Problem(
                f"{limits.name} takes at most {limits.train_bytes:,} bytes, and train.jsonl has {train.bytes:,}",
                "A smaller --limit mends that",
            )
        )
    most = limits.evaluation(train.rows)
    if evaluation.rows > most:
        problems.append(
            Problem(
                f"{limits.name} takes at most {most:,} evaluation rows beside {train.rows:,} train rows, and there are "
                f"{evaluation.rows:,}",
                "The pipeline's validation samples them; or make the dataset with a smaller --eval-fraction",
            )
        )
    return problems


def _lines(split: str, limits: Limits, seen: _Seen) -> list[Problem]:
    problems = []
    if seen.broken:
        problems.append(Problem(f"{split}.jsonl: {seen.broken}", "`invoke dataset` makes it again"))
    if seen.empty:
        problems.append(Problem(f"{split}.jsonl has {seen.empty:,} rows without prompt or answer", "Make it again"))
    if seen.too_long:
        problems.append(
            Problem(
                f"{split}.jsonl has {seen.too_long:,} rows of about more than {limits.example_tokens:,} tokens",
                "A --max-length of the dataset leaves them out",
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
                seen.broken = seen.broken or f"line {number + 1} is not of the format {dataset_format} ({error})"
                continue
            seen.empty += not example.answer.strip() or not example.prompt[-1].content.strip()
            seen.too_long += characters(example) / CHARACTERS_PER_TOKEN > limits.example_tokens
    return seen
