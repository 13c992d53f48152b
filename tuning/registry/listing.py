"""Format the registry as lines for a terminal."""

from collections.abc import Iterator

from tuning.evaluation.records import Verdict
from tuning.registry import registry
from tuning.settings import Settings


def model_lines(settings: Settings) -> list[str]:
    """Return one line per version. The champion's line has a star. Raises TuningError if a record is damaged."""
    champion = registry.champion(settings)
    found = registry.versions(settings)
    if not found:
        return [f"no models in {settings.models_dir}. Run `invoke tune` to create one."]
    lines = [f"  {'model':6} {'created (UTC)':17} {'base':24} {'dataset':18} {'verdict':10} change against the others"]
    for version in found:
        mark = "*" if champion and champion.name == version.name else " "
        lines.append(
            f"{mark} {version.name:6} {version.created_at[:16]:17} {version.base_model[-24:]:24} "
            f"{version.dataset_id[:18]:18} {version.verdict.status:10} {'; '.join(_changes(version.verdict))}"
        )
    lines.append(f"* champion; files in {settings.models_dir}")
    return lines


def _changes(verdict: Verdict) -> Iterator[str]:
    """Yield the change against each opponent: solved how-to questions, and the improvement in the primary metric."""
    executed = {judgement.opponent: judgement.executed for judgement in verdict.judgements}
    for opponent in sorted({*executed, *verdict.improvements}):
        solved, improvement = executed.get(opponent), verdict.improvements.get(opponent)
        figures = [f"solves {solved.mean:+.1f} points"] if solved else []
        figures += [f"{verdict.primary_metric} improved by {improvement.mean:+.3g}"] if improvement else []
        if figures:
            yield f"{opponent}: {', '.join(figures)}"


def history_lines(settings: Settings) -> list[str]:
    """Return one line per event, the oldest first. Raises TuningError if the journal is damaged."""
    return [
        f"{event.at[:19]} {event.action:18} {event.version:6} champion: {event.champion or '-'}"
        + (f" ({event.reason})" if event.reason else "")
        for event in registry.history(settings)
    ] or ["no events yet"]
