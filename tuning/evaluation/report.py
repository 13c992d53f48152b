"""Render the report of a run: an HTML page without scripts or external references, and a short Markdown summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuning.dataset.card.notice import SYNTHETIC
from tuning.dataset.dataset import Manifest
from tuning.evaluation.gate import in_words, show_slice, which_is_better
from tuning.evaluation.records import Comparison, Figure, Interval, Side, SuiteSide, Verdict
from tuning.evaluation.text_metrics import DESCRIPTIONS
from tuning.numbers import number_of
from tuning.tuners.hf.train.curves import Curves, draw
from tuning.tuners.hf.train.model_card import ROWS, facts_in_words, settings_in_words, value_in_words
from tuning.tuners.protocol import REPETITION, Model
from tuning.visible import visible

_SLICES_SHOWN = 30
ROLES = ("base", "champion", "tuned")
SMOLLM2_NOTE = (
    "smollm2 is SmolLM2-135M-Instruct from a Python package with weights in 4 bits. It is a little worse than the "
    "original. If the Hugging Face hub is reachable, you can use the original with "
    "--base-model HuggingFaceTB/SmolLM2-135M-Instruct."
)
SAMPLE_NOTE = f"The questions and answers were {SYNTHETIC}."
SMOKE_NOTE = (
    "Smoke test: the base is a tiny model with random weights, made to test the pipeline. This report says nothing "
    "about quality."
)


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """Hold everything that the report shows."""

    manifest: Manifest
    notes: Sequence[str]  # from the validation step
    model: Model
    options: dict[str, object]
    tuner: str
    curves: Curves | None
    seconds: dict[str, float]  # by step, from its last run
    comparison: Comparison
    verdict: Verdict


def as_html(inputs: ReportInputs) -> str:
    """Return the report as an HTML page. All text from the data is escaped."""
    return _render("report.html.j2", inputs)


def as_markdown(inputs: ReportInputs) -> str:
    """Return a short summary as Markdown, for a terminal or for the page of a pipeline run."""
    return _render("report.md.j2", inputs)


def _view(inputs: ReportInputs) -> dict[str, Any]:
    comparison, verdict = inputs.comparison, inputs.verdict
    primary = next((figure for figure in comparison.figures if figure.metric == comparison.primary_metric), None)
    shown = sorted(verdict.slices, key=lambda row: (not row.blocks, not row.judged, -row.examples))
    settings, rows = _settings(inputs), _rows(inputs.model.facts)
    untold = {name: value for name, value in inputs.model.facts.items() if name not in (ROWS if rows else ())}
    tuning = [
        ("tuner", inputs.tuner),
        *settings_in_words(settings, inputs.model.facts),
        *facts_in_words(settings, untold),
    ]
    return {
        "manifest": inputs.manifest,
        "build": {name: _short(value) for name, value in sorted(inputs.manifest.build.items())},
        "dataset_options": {name: _short(value) for name, value in sorted(inputs.manifest.options.items())},
        "notes": [*_loop_notes(comparison), *inputs.notes, *_base_notes(inputs)],
        "model": inputs.model,
        "rows": rows,
        "tuning": tuning,
        "is_other": any("(the setting was " in text for _, text in tuning),
        "recipe": _recipe(inputs),
        "seconds": inputs.seconds,
        "curve": draw(inputs.curves) if inputs.curves else "",
        "verdict": verdict,
        "words": in_words(verdict),
        "roles": [role for role in ROLES if primary and role in primary.models],
        "opponents": [role for role in ROLES if primary and role in primary.differences],
        "primary": primary,
        **_suite_view(comparison, verdict),
        "figures": comparison.figures,
        "descriptions": DESCRIPTIONS,
        "perplexity": comparison.perplexity,
        "token_loss": comparison.token_loss,
        "slices": shown[:_SLICES_SHOWN],
        "slices_left_out": max(0, len(shown) - _SLICES_SHOWN),
        "sides": comparison.sides,
        "show": show,
        "show_slice": show_slice,
        "better": which_is_better(comparison.primary_metric),
        "cells": cells,
        "ended": _ended,
        "error_in_words": error_in_words,
        "title": title_of,
        "level": f"{verdict.options.get('level', 0.95):.0%}",
    }


def _suite_view(comparison: Comparison, verdict: Verdict) -> dict[str, Any]:
    """Return what the report shows about the suite: first the questions that were gained or lost against the base."""
    sides = {side.topic: side for side in comparison.suite.sides}
    against_base = verdict.judgements[0] if verdict.judgements else None
    changed = {"gained": against_base.gained, "lost": against_base.lost} if against_base else {}
    topics = [topic for topics in changed.values() for topic in topics]
    roles = list(comparison.suite.sides[0].answers) if comparison.suite.sides else []
    return {
        "suite_roles": roles,
        "suite_opponents": [role for role in roles if role != "tuned"],
        "suite": comparison.suite,
        "suite_figures": comparison.suite.figures,
        "titles": {
            kind: [title_of(sides[topic].question) for topic in topics] for kind, topics in changed.items() if topics
        },
        "guardrails": against_base.guardrails if against_base else [],
        "changed": [(kind, sides[topic]) for kind, topics in changed.items() for topic in topics],
        "unchanged": [side for side in sides.values() if side.topic not in topics],
    }


def title_of(question: str) -> str:
    """Return the first line of a question."""
    return question.strip().splitlines()[0] if question.strip() else "a question without a title"


def _settings(inputs: ReportInputs) -> dict[str, object]:
    """Return the settings that the tuning used: those of the recipe, or the given options if there is no recipe."""
    if recipe := _recipe(inputs):
        return {"base_model": inputs.options.get("base_model"), **recipe}
    facts = inputs.model.facts
    used = {name: value or facts.get(name) or value for name, value in inputs.options.items()}
    are_empty = {name for name, value in used.items() if not isinstance(value, bool) and value in (0, None)}
    return used | dict.fromkeys(are_empty, "chosen by the service")


def _recipe(inputs: ReportInputs) -> dict[str, Any]:
    recipe = inputs.model.facts.get("recipe")
    return recipe if isinstance(recipe, dict) else {}


def _loop_notes(comparison: Comparison) -> list[str]:
    """Return how many answers to held-out examples repeat themselves, which the how-to questions may not show."""
    figure = next((figure for figure in comparison.figures if figure.metric == "loop"), None)
    if figure is None or not any(found.mean for found in figure.models.values()):
        return []
    shares = [
        f"{found.mean * found.examples / 100:.0f} of {found.examples} of the {role} model"
        for role in ROLES
        if (found := figure.models.get(role))
    ]
    return [
        f"Answers to held-out examples that repeat themselves: {', '.join(shares)}. Read them at the end of the page."
    ]


def _base_notes(inputs: ReportInputs) -> list[str]:
    notes = [SAMPLE_NOTE] if inputs.manifest.build.get("kind") == "synthetic" else []
    if inputs.verdict.smoke_test:
        return [*notes, SMOKE_NOTE]
    return [*notes, SMOLLM2_NOTE] if inputs.model.base_model == "smollm2" else notes


def _rows(facts: dict[str, object]) -> dict[str, object]:
    """Return the numbers of training examples, if the tuner reports them."""
    names = {"used": "rows_used", "total": "rows_total", "left_out": "rows_left_out", "max_length": "max_length"}
    return {short: facts[name] for short, name in names.items()} if set(names.values()) <= set(facts) else {}


def show(value: Interval | None, metric: str, sign: bool = False) -> str:
    """Format a mean and its interval as `number_of` does, or "-" if there is no value."""
    if value is None:
        return "-"
    mean, low, high = (number_of(metric, number, sign=sign) for number in (value.mean, value.low, value.high))
    return f"{mean} ({low} to {high})"


def error_in_words(error: str) -> str:
    """Return how the code of an answer ended, with what that means if it is an assertion without a message."""
    return f"{error}: a check found something else than it expects" if error == "AssertionError" else error


def cells(figure: Figure, roles: Sequence[str], opponents: Sequence[str]) -> list[str]:
    """Return the cells of a metric's row: the mean of each model, then the difference from each opponent.

    If they are not from the same number of answers, each cell says from how many. Not every answer has a value of
    every metric, and a difference needs both, so without these numbers a difference can look wrong.
    """
    row = [(figure.models.get(role), False) for role in roles]
    row += [(figure.differences.get(role), True) for role in opponents]
    is_even = len({value.examples for value, _ in row if value}) < 2
    return [
        show(value, figure.metric, sign)
        + ("" if value is None or is_even else f", {'pairs' if sign else 'answers'}: {value.examples}")
        for value, sign in row
    ]


def _ended(side: Side | SuiteSide, role: str) -> str:
    """Return why a model's answer ended, with a mark if it repeats itself, and the notes of a service."""
    reason = side.finish_reasons[role]
    is_loop = side.scores.get(role, {}).get("loop") and reason != REPETITION
    return ", ".join([reason, *(["repeats itself"] if is_loop else []), *side.notes.get(role, [])])


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value_in_words(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _render(name: str, inputs: ReportInputs) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("tuning.evaluation", "templates"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return visible(environment.get_template(name).render(**_view(inputs)))
