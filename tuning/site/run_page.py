"""Make the page of one run: verdict, steps, learning curves, metrics, slices, and every question with its answers."""

import shlex
from pathlib import Path
from typing import Any

from tuning.command_line.run_file import RUN_FILE
from tuning.errors import TuningError
from tuning.evaluation.gate import in_words, show_slice, which_is_better
from tuning.evaluation.options import UNITS
from tuning.evaluation.records import Figure, Side, SuiteSide
from tuning.evaluation.report import ROLES, cells, error_in_words, title_of
from tuning.evaluation.text_metrics import DESCRIPTIONS
from tuning.numbers import digits_of
from tuning.pipelines.outcome import Step
from tuning.pipelines.release.record import COMPARISON, REPORT, VERDICT
from tuning.registry.records import Version
from tuning.site.charts import Chart, Mean, bars, curves, intervals
from tuning.site.highlighting import as_code
from tuning.site.pages import write_page
from tuning.site.records import SiteRun, plain_name
from tuning.storage import write_bytes

# Options of a version that `invoke tune` takes; 0, "" and False stand for the defaults.
_OPTIONS = (
    *("base_model", "steps", "epochs", "learning_rate", "lora_rank", "full", "max_length", "batch_size", "keep"),
    *("quantize", "shard", "seed"),
)


def write_run_page(folder: Path, run: SiteRun, shared: dict[str, Any]) -> None:
    """Write the page of a run, and the report that the run wrote. `shared` is what all pages know.

    Raises TuningError if the verdict is about questions that the comparison does not have.
    """
    comparison, verdict = run.comparison, run.verdict
    against_base = next((one for one in verdict.judgements if one.opponent == "base"), None) if verdict else None
    changed = {"gained": against_base.gained, "lost": against_base.lost} if against_base else {}
    sides = {side.topic: side for side in comparison.suite.sides} if comparison else {}
    topics = [topic for these in changed.values() for topic in these]
    if unknown := [topic for topic in topics if topic not in sides]:
        raise TuningError(
            f"{VERDICT} of the run {run.id} names the question {unknown[0]!r}, and {COMPARISON} does not",
            "No command can make them again. Restore them, or delete both to do without them",
        )
    view = {
        **shared,
        "run": run,
        "words": in_words(verdict) if verdict else "",
        "changed": [(kind, _asked(sides[topic])) for kind, these in changed.items() for topic in these],
        "unchanged": [_asked(side) for side in sides.values() if side.topic not in topics],
        "titles": {kind: [title_of(sides[topic].question) for topic in these] for kind, these in changed.items()},
        "guardrails": against_base.guardrails if against_base else [],
        "levels": _levels(run),
        "command": command(run.version) if run.version else "",
        "training": _training(run),
        "charts": _charts(run),
        "tables": _tables(run),
        "slices": [(row, show_slice(row, run.metric)) for row in verdict.slices] if verdict else [],
        "better": which_is_better(run.metric),
        "metric": run.metric,
        "held_out": [_held_out(side) for side in comparison.sides] if comparison else [],
        "descriptions": DESCRIPTIONS,
        "has_report": bool(run.report),
        "level": f"{verdict.options.get('level', 0.95):.0%}" if verdict else "",
    }
    write_page(folder / "index.html", "run.html.j2", view)
    if run.run_file:
        write_bytes(folder / RUN_FILE, run.run_file)
    if run.report:
        write_bytes(folder / REPORT, run.report)


def command(version: Version) -> str:
    """Return the command that tunes the same model again, on the same dataset and with the same options."""
    words = ["invoke", "tune", "--dataset", version.dataset_id, "--tuner", version.tuner]
    for name in _OPTIONS:
        value = version.options.get(name)
        if value is True:
            words.append(f"--{name}")
        elif value not in (None, "", 0, False):
            words += [f"--{name.replace('_', '-')}", str(value)]
    if continues := version.options.get("continues"):
        words += ["--from", str(continues)]
    return shlex.join(words)


def _training(run: SiteRun) -> str:
    """Return how the model was trained, with the settings that were used, or "" if its tuner notes none."""
    recipe, noted = run.recipe, run.model.facts if run.model else {}
    if recipe is None:
        return ""
    steps = noted.get("steps", recipe.steps)
    length = f"{steps} {'step' if steps == 1 else 'steps'} of {recipe.batch_size} examples"
    return (
        f"{recipe.trained}; {length} with at most {recipe.max_length:,} tokens; learning rate {recipe.learning_rate:g}"
    )


def _levels(run: SiteRun) -> list[list[tuple[Step, list[str]]]]:
    """Return the steps in columns: those of one column wait for those of the columns before it.

    Beside each step stand the steps that it waits for.
    """
    steps = {plain_name(step.name): step for step in run.record.steps}
    first = [[(step, list[str]())] for name, step in steps.items() if name not in run.before]  # before the pipeline
    depth: dict[str, int] = {}

    def level(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((level(other) for other in run.before[name] if other in run.before), default=-1)
        return depth[name]

    columns: dict[int, list[tuple[Step, list[str]]]] = {}
    for name in run.before:
        if name in steps:
            direct = [other for other in run.before[name] if other in steps]
            waits = [one for one in direct if not any(one in run.before[other] for other in direct)]
            columns.setdefault(level(name), []).append((steps[name], waits))
    return [*first, *(columns[number] for number in sorted(columns))]


def _charts(run: SiteRun) -> list[Chart]:
    charts = []
    if run.curves and (run.curves.train or run.curves.development):
        lines = {"training": run.curves.train, "development": run.curves.development}
        points = {name: [(point.step, point.loss) for point in line] for name, line in lines.items() if line}
        bits = run.recipe.quantize[:1] if run.recipe else ""
        title = f"Learning curves, measured on {bits}-bit weights" if bits else "Learning curves"
        charts.append(curves(title, ("optimizer step", "loss, nats per token"), points, digits_of("loss")))
    if run.comparison:
        executed = [figure for figure in run.comparison.suite.figures if not figure.metric.startswith("char")]
        if executed:
            charts.append(intervals("How-to questions", "% of the questions", _means(executed)))
        primary = [figure for figure in run.comparison.figures if figure.metric == run.metric]
        if primary:
            unit = UNITS.get(run.metric, run.metric)
            charts.append(intervals("Held-out examples", unit, _means(primary), digits=digits_of(run.metric)))
    seconds = [(plain_name(step.name), round(step.seconds)) for step in run.record.steps if step.seconds >= 1]
    if seconds:
        charts.append(bars("Steps that took a second or more", "seconds", seconds))
    return charts


def _means(figures: list[Figure]) -> list[Mean]:
    return [
        Mean(label=figure.metric, series=role, mean=found.mean, low=found.low, high=found.high)
        for figure in figures
        for role in ROLES
        if (found := figure.models.get(role))
    ]


def _tables(run: SiteRun) -> list[dict[str, Any]]:
    """Return the metrics of the how-to questions and of the held-out examples as tables."""
    if run.comparison is None:
        return []
    tables = []
    for name, figures in (
        ("How-to questions", run.comparison.suite.figures),
        ("Held-out examples", run.comparison.figures),
    ):
        roles = [role for role in ROLES if any(role in figure.models for figure in figures)]
        opponents = [role for role in ROLES if any(role in figure.differences for figure in figures)]
        rows = [(figure.metric, cells(figure, roles, opponents)) for figure in figures]
        tables.append({"name": name, "roles": roles, "opponents": opponents, "rows": rows})
    return tables


def _asked(side: SuiteSide) -> dict[str, Any]:
    """Return a how-to question with what each model answered and what the answer's code did."""
    answers = [
        {
            "role": role,
            "solved": _solved(side, role),
            "ended": side.finish_reasons[role],
            "text": _marked(side.answers, role),
            "printed": side.printed[role],
            "error": error_in_words(side.errors[role]),
            "was_run": "executed" in side.scores[role],
        }
        for role in side.answers
    ]
    return {
        "title": title_of(side.question),
        "question": as_code(side.question),
        "answers": answers,
        "reference": as_code(side.reference),
        "check": as_code(f"```python\n{side.check}\n```") if side.check else "",
        "outcome": "; ".join(f"{one['role']} {one['solved']}" for one in answers),
    }


def _held_out(side: Side) -> dict[str, Any]:
    return {
        "title": title_of(side.question),
        "question": as_code(side.question),
        "reference": as_code(side.reference),
        "answers": [(role, side.finish_reasons[role], _marked(side.answers, role)) for role in side.answers],
    }


def _solved(side: SuiteSide, role: str) -> str:
    scores = side.scores[role]
    return "was not run" if "executed" not in scores else "solves it" if scores["executed"] else "does not solve it"


def _marked(answers: dict[str, str], role: str) -> str:
    """Return an answer in colors, with the lines marked that the tuned model (or, for it, the base) does not have."""
    other = answers.get("base" if role == "tuned" else "tuned")
    return as_code(answers[role] or "(empty)", other)
