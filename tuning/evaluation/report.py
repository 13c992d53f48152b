"""The report of a run: one HTML page without scripts or outside references, and a short Markdown form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuning.dataset.dataset import Manifest
from tuning.evaluation.gate import in_words
from tuning.evaluation.records import Comparison, Interval, Verdict
from tuning.evaluation.text_metrics import DESCRIPTIONS
from tuning.tuners.hf.train.curves import Curves, draw
from tuning.tuners.protocol import Model

_SLICES_SHOWN = 30
# After the point; of percentages one.
_DIGITS = {"loss": 3, "token_loss": 3, "length_ratio": 3, "perplexity": 2}
ROLES = ("base", "champion", "tuned")
SMOLLM2_NOTE = (
    "smollm2 is SmolLM2-135M-Instruct from a package on the index, whose weights were stored in 4 bits and are "
    "unpacked again: a little worse than HuggingFaceTB/SmolLM2-135M-Instruct, which --base-model takes where the "
    "hub is reachable."
)
SMOKE_NOTE = (
    "Smoke test: the base is a tiny model with random weights, made to test the pipeline. Nothing here says anything "
    "about quality."
)


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    manifest: Manifest
    notes: Sequence[str]  # of validation
    model: Model
    options: dict[str, object]
    tuner: str
    curves: Curves | None
    seconds: dict[str, float]  # by step, when it last ran
    comparison: Comparison
    verdict: Verdict


def as_html(inputs: ReportInputs) -> str:
    """The page. Everything from the data is escaped."""
    return _render("report.html.j2", inputs)


def as_markdown(inputs: ReportInputs) -> str:
    """The short form, for a terminal or a pipeline's page."""
    return _render("report.md.j2", inputs)


def _view(inputs: ReportInputs) -> dict[str, Any]:
    comparison, verdict = inputs.comparison, inputs.verdict
    primary = next((figure for figure in comparison.figures if figure.metric == comparison.primary_metric), None)
    shown = sorted(verdict.slices, key=lambda row: (not row.blocks, not row.judged, -row.examples))
    return {
        "manifest": inputs.manifest,
        "build": {name: _short(value) for name, value in sorted(inputs.manifest.build.items())},
        "dataset_options": {name: _short(value) for name, value in sorted(inputs.manifest.options.items())},
        "notes": [*inputs.notes, *_base_notes(inputs)],
        "model": inputs.model,
        "rows": _rows(inputs.model.facts),
        "facts": {name: _short(value) for name, value in inputs.model.facts.items() if not isinstance(value, list)},
        "options": {name: value or "the tuner's default" for name, value in inputs.options.items()},
        "tuner": inputs.tuner,
        "seconds": inputs.seconds,
        "curve": draw(inputs.curves) if inputs.curves else "",
        "verdict": verdict,
        "words": in_words(verdict),
        "roles": [role for role in ROLES if primary and role in primary.models],
        "opponents": [role for role in ROLES if primary and role in primary.differences],
        "primary": primary,
        "figures": comparison.figures,
        "descriptions": DESCRIPTIONS,
        "perplexity": comparison.perplexity,
        "token_loss": comparison.token_loss,
        "slices": shown[:_SLICES_SHOWN],
        "slices_left_out": max(0, len(shown) - _SLICES_SHOWN),
        "sides": comparison.sides,
        "show": show,
        "level": f"{verdict.options.get('level', 0.95):.0%}",
    }


def _base_notes(inputs: ReportInputs) -> list[str]:
    if inputs.verdict.smoke_test:
        return [SMOKE_NOTE]
    return [SMOLLM2_NOTE] if inputs.model.base_model == "smollm2" else []


def _rows(facts: dict[str, object]) -> dict[str, object]:
    """What became of the training examples, where the tuner tells."""
    names = {"used": "rows_used", "total": "rows_total", "left_out": "rows_left_out", "max_length": "max_length"}
    return {short: facts[name] for short, name in names.items()} if set(names.values()) <= set(facts) else {}


def show(value: Interval | None, metric: str, sign: bool = False) -> str:
    """A mean with its interval, to the digits of the metric."""
    if value is None:
        return "-"
    digits = _DIGITS.get(metric, 1)
    plus = "+" if sign else ""
    return f"{value.mean:{plus}.{digits}f} ({value.low:{plus}.{digits}f} to {value.high:{plus}.{digits}f})"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
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
    return environment.get_template(name).render(**_view(inputs))
