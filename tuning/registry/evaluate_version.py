"""Compare a registered model with its base model on any dataset. The result is for information, not for a release."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from tuning.answers.benchmark import read_benchmark
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset, find_dataset
from tuning.dataset.formats.codec import instruction
from tuning.dataset.options import DatasetOptions
from tuning.dataset.own.files import find_sources
from tuning.dataset.own.snapshot import make_own_snapshot
from tuning.errors import TuningError
from tuning.evaluation.compare import compare
from tuning.evaluation.evaluate import evaluate
from tuning.evaluation.gate import judge
from tuning.evaluation.options import SMOKE_TEST_BASE, EvaluationOptions, GateOptions, evaluation_options
from tuning.evaluation.pairwise import Opinion, ask_judge, opinion_in_words
from tuning.evaluation.records import Comparison, Evaluation, Figure, SuiteSide, Verdict
from tuning.evaluation.report import cells, title_of
from tuning.evaluation.summary import summary_lines
from tuning.registry import registry
from tuning.registry.model_folder import count_seen
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.storage import atomic_file, sha256_of
from tuning.tuners.options import own_format
from tuning.tuners.protocol import Model, TuneOptions, Tuner
from tuning.tuners.select import find_judge, find_tuner

_MANY = 20  # questions; of more, only those that one model solves are listed


@dataclass(frozen=True)
class Judged:
    """Hold the comparison of a registered version with its base model on a dataset."""

    version: Version
    dataset: Dataset
    comparison: Comparison
    verdict: Verdict
    trained_on: int  # number of evaluation examples whose question or group the model was trained on
    opinion: Opinion | None  # of the judge, if one was asked

    def as_data(self) -> dict[str, object]:
        """Return the content for JSON, without the answers."""
        return {
            "version": self.version.name,
            "base_model": self.version.base_model,
            "dataset": self.dataset.id,
            "examples": self.dataset.manifest.files["eval.jsonl"].rows,
            "figures": self.comparison.figures,
            "suite": {
                "suite": self.comparison.suite.suite,
                "reason": self.comparison.suite.reason,
                "figures": self.comparison.suite.figures,
            },
            "verdict": self.verdict,
            "trained_on": self.trained_on,
            "opinion": self.opinion,
        }


def evaluate_version(
    settings: Settings,
    name: str,
    chosen: str | list[str],
    examples: int | None,
    answers: int | None,
    benchmark: str = "",
    judge_name: str = "",
) -> Judged:
    """Evaluate the version `name` and its base model on a dataset. Nothing is written.

    `chosen` is the ID of the dataset (empty: the newest), or a list of files of own examples.
    `examples` and `answers` override the settings `evaluation_examples` and `evaluation_answers`, unless they are None.
    `benchmark` replaces the suite. `judge_name` names a model that also compares the answers. Raises TuningError if
    they are invalid, or if there is no such version or dataset.
    """
    version = registry.find_version(settings, name)
    options = evaluation_options(settings, version.base_model)
    options = msgspec.structs.replace(
        options,
        examples=options.examples if examples is None else examples,
        answers=options.answers if answers is None else answers,
        benchmark=benchmark,
    )
    if options.examples < 1 or options.answers < 0:
        raise TuningError("--examples must be at least 1, and --answers at least 0")
    if benchmark:
        read_benchmark(benchmark)  # raises an error before a model is loaded
    if isinstance(chosen, str):
        dataset = find_dataset(settings, chosen or None)
        return _judged(settings, version, dataset, dataset, options, judge_name)
    with _examples_of(settings, version, chosen) as dataset:
        # The base model tiny is made from the dataset of the tuning.
        is_tiny = version.base_model == SMOKE_TEST_BASE
        made_from = find_dataset(settings, version.dataset_id) if is_tiny else dataset
        return _judged(settings, version, dataset, made_from, options, judge_name)


@contextlib.contextmanager
def _examples_of(settings: Settings, version: Version, data: Sequence[str]) -> Iterator[Dataset]:
    """Make a dataset of own files whose examples are all for evaluation. It is deleted when the block ends.

    Rows without a system message get the one of the version's training.
    """
    sources = find_sources([], list(data))
    options = DatasetOptions(format=own_format(version.format), body="text", split="evaluation")
    with tempfile.TemporaryDirectory(prefix="python-qa-") as folder:
        here = msgspec.structs.replace(settings, home=Path(folder), target="local", storage_endpoint="")
        system = version.template if version.body == "text" else instruction(version.template)
        yield create_dataset(here, make_own_snapshot(here, sources, system), options)


def _judged(
    settings: Settings,
    version: Version,
    dataset: Dataset,
    base_from: Dataset,
    options: EvaluationOptions,
    judge_name: str,
) -> Judged:
    asked = find_judge(settings, judge_name, dataset) if judge_name else None
    gate = GateOptions()
    folder = registry.model_folder(settings, version)
    model = registry.open_version(settings, version)
    tuner = find_tuner(model.tuner)
    tune = msgspec.convert(version.options, TuneOptions)
    # If only the adapter was kept, it names the base that it was made for.
    untuned = TuneOptions(base_model=version.base_model, seed=tune.seed, adapter=model.uri)
    base = tuner.base(settings, base_from, untuned)
    content = sha256_of(dataset.folder / "manifest.json")
    evaluations = {
        role: _evaluate(settings, tuner, role, evaluated, dataset, options, content)
        for role, evaluated in (("base", base), ("tuned", model))
    }
    comparison = compare(evaluations, tuner.primary_metric, gate, {"manifest": content})
    scored = evaluations["tuned"].scored
    questions = np.array([row.question_id for row in scored], dtype=np.int64)
    seen = count_seen(folder, questions, np.array([row.group for row in scored], dtype=np.int64))
    verdict = judge(comparison, gate, smoke_test=version.base_model == SMOKE_TEST_BASE)
    sides = comparison.suite.sides or comparison.sides
    opinion = ask_judge(asked, judge_name, sides, "base", gate) if asked else None
    return Judged(version, dataset, comparison, verdict, seen, opinion)


def in_lines(judged: Judged) -> list[str]:
    """Return the metrics, the questions that were solved, and the reasons of the verdict as lines for a terminal."""
    version, comparison = judged.version, judged.comparison
    other = "" if judged.dataset.id == version.dataset_id else f", and was tuned on {version.dataset_id}"
    what = f"dataset {judged.dataset.id}"
    if judged.dataset.manifest.options.get("split") == "evaluation":
        what = f"{judged.dataset.manifest.files['eval.jsonl'].rows:,} own examples"
    lines = [f"{version.name} (tuned {version.base_model}) is evaluated on {what}{other}"]
    if judged.dataset.manifest.options.get("split") == "evaluation":
        lines += [
            f"{row['rows']:>9,}  {row['step']}: {row['reason']}"
            for row in judged.dataset.manifest.funnel
            if row["step"] != "written"
        ]
    if comparison.suite.figures:
        lines += _table(f"how-to questions ({comparison.suite.suite})", comparison.suite.figures)
        lines += [] if comparison.suite.reason else _questions(comparison.suite.sides)
    lines += _table("held-out examples of the dataset", comparison.figures)
    lines.append(describe_all(judged.verdict))
    if judged.trained_on:
        lines.append(
            f"warning: the model was trained on {judged.trained_on} of these {len(judged.comparison.pairs['base'])} "
            "questions, so its scores are better than on new questions"
        )
    if judged.opinion:
        lines.append(opinion_in_words(judged.opinion, GateOptions()))
    return lines


def summary(judged: Judged) -> list[str]:
    """Return the verdict with its numbers, the dataset and the next command as a table for a terminal."""
    version, rows = judged.version, judged.dataset.manifest.files["eval.jsonl"].rows
    more = [
        ("dataset", f"{judged.dataset.id}: {rows:,} examples for evaluation"),
        ("model", f"{version.name} of {version.base_model}"),
        ("ask it", f'invoke predict "How do I …" --model {version.name}'),
    ]
    return summary_lines(judged.verdict, judged.comparison, more)


def _table(title: str, figures: Sequence[Figure]) -> Iterator[str]:
    yield title
    yield f"{'metric':14} {'base':>36} {'tuned':>36} {'change from base':>36}"
    for figure in figures:
        yield f"{figure.metric:14} " + " ".join(f"{cell:>36}" for cell in cells(figure, ("base", "tuned"), ("base",)))


def _questions(sides: Sequence[SuiteSide]) -> Iterator[str]:
    """Yield which model solves each question. Of many questions, yield those that only one model solves."""
    for side in sides:
        solved = [role for role in ("base", "tuned") if side.scores[role].get("executed")]
        if len(solved) == 1 or len(sides) <= _MANY:
            yield f"  solved by {' and '.join(solved) or 'no model'}: {title_of(side.question)}"


def write_sides(judged: Judged, path: Path) -> str:
    """Write each how-to question with both answers, and what their code did, as JSON Lines. Returns a message."""
    sides = judged.comparison.suite.sides
    with atomic_file(path) as file:
        file.writelines(msgspec.json.encode(side) + b"\n" for side in sides)
    return f"wrote {len(sides)} questions with both answers to {path}"


def describe_all(verdict: Verdict) -> str:
    """Return all reasons of the verdict as one text."""
    smoke = " This base model is for smoke tests: its scores do not measure quality." if verdict.smoke_test else ""
    return f"{'; '.join(verdict.reasons)}.{smoke}"


def _evaluate(
    settings: Settings,
    tuner: Tuner,
    role: str,
    model: Model,
    dataset: Dataset,
    options: EvaluationOptions,
    content: str,
) -> Evaluation:
    predictor = tuner.predictor(settings, model)
    return evaluate(
        predictor,
        dataset,
        options,
        role=role,
        model=model,
        primary_metric=tuner.primary_metric,
        dataset_sha256=content,
    )
