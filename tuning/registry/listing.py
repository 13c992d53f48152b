"""Format the registry as lines for a terminal."""

from collections.abc import Iterator

from tuning.dataset.denied import deny_list
from tuning.evaluation.gate import change, which_is_better
from tuning.evaluation.records import Judgement, Verdict
from tuning.gcs.storage import find_storage
from tuning.numbers import number_of
from tuning.registry import registry
from tuning.registry.forgotten import tuned_on_denied
from tuning.settings import Settings
from tuning.storage import registry_address
from tuning.target import command_in_words


def model_data(settings: Settings) -> dict[str, object]:
    """Return the champion's name, or None, and all versions. Raises TuningError if a record is damaged."""
    champion = registry.champion(settings)
    return {"champion": champion.name if champion else None, "versions": registry.versions(settings)}


def model_lines(settings: Settings) -> list[str]:
    """Return one line per version. The champion's line has a star. Raises TuningError if a record is damaged."""
    champion = registry.champion(settings)
    found = registry.versions(settings)
    place = find_storage(settings).shown(registry_address(settings))
    if not found:
        return [f"no models in {place}. Run {command_in_words(settings, 'tune')} to create one."]
    lines = [f"  {'model':6} {'created (UTC)':17} {'base':24} {'dataset':18} {'verdict':10} against the others"]
    forgotten = tuned_on_denied(found, deny_list(settings))
    for version in found:
        mark = "*" if champion and champion.name == version.name else " "
        lines.append(
            f"{mark} {version.name:6} {version.created_at[:16]:17} {version.base_model[-24:]:24} "
            f"{version.dataset_id[:18]:18} {version.verdict.status:10} {'; '.join(changes(version.verdict))}"
        )
        if posts := forgotten.get(version.name):
            remedy = f": replace it, by {command_in_words(settings, 'tune')}" if mark == "*" else ""
            lines.append(f"! {version.name:6} was tuned on forgotten posts ({', '.join(map(str, posts))}){remedy}")
    lines.append(f"{'* champion' if champion else 'no version is the champion'}; files in {place}")
    return lines


def changes(verdict: Verdict) -> Iterator[str]:
    """Yield the comparison with each opponent: solved how-to questions, and the change of the primary metric."""
    judged = {judgement.opponent: judgement for judgement in verdict.judgements}
    for opponent in sorted({*judged, *verdict.improvements}):
        figures = [_solved(judged[opponent])] if opponent in judged and judged[opponent].executed else []
        if better := verdict.improvements.get(opponent):
            metric = verdict.primary_metric
            changed = number_of(metric, change(better, metric).mean, sign=True)
            figures.append(f"{metric} changes by {changed} ({which_is_better(metric)})")
        if figures:
            yield f"{opponent}: {', '.join(figures)}"


def _solved(judgement: Judgement) -> str:
    """Return how many how-to questions both models solve. Verdicts of earlier versions have only the difference."""
    change = judgement.executed
    points = f"{number_of('executed', change.mean, sign=True)} points" if change and change.mean else "no difference"
    if not change or not judgement.solved:
        return f"how-to questions solved: {points}"
    tuned, other = judgement.solved["tuned"], judgement.solved[judgement.opponent]
    return f"solves {tuned} of {change.examples} how-to questions, {judgement.opponent} {other} ({points})"


def history_lines(settings: Settings) -> list[str]:
    """Return one line per event, the oldest first. Raises TuningError if the journal is damaged."""
    return [
        f"{event.at[:19]} {event.action:18} {event.version:6} champion: {event.champion or '-'}"
        + (f" ({event.reason})" if event.reason else "")
        for event in registry.history(settings)
    ] or ["no events yet"]
