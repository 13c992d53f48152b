"""Format the registry as lines for a terminal."""

from tuning.registry import registry
from tuning.settings import Settings


def model_lines(settings: Settings) -> list[str]:
    """Return one line per version. The champion's line has a star. Raises TuningError if a record is damaged."""
    champion = registry.champion(settings)
    found = registry.versions(settings)
    if not found:
        return [f"no models in {settings.models_dir}. Run `invoke tune` to create one."]
    lines = [
        f"  {'model':6} {'created (UTC)':17} {'base':24} {'dataset':18} {'verdict':10} primary metric, improvement"
    ]
    for version in found:
        mark = "*" if champion and champion.name == version.name else " "
        primary = version.verdict.primary_metric
        figures = [f"{primary} {version.metrics[primary]:.4g}"] if primary in version.metrics else []
        figures += [f"{change.mean:+.3g} over the {role}" for role, change in version.verdict.improvements.items()]
        lines.append(
            f"{mark} {version.name:6} {version.created_at[:16]:17} {version.base_model[-24:]:24} "
            f"{version.dataset_id[:18]:18} {version.verdict.status:10} {', '.join(figures)}"
        )
    lines.append(f"* champion; files in {settings.models_dir}")
    return lines


def history_lines(settings: Settings) -> list[str]:
    """Return one line per event, the oldest first. Raises TuningError if the journal is damaged."""
    return [
        f"{event.at[:19]} {event.action:18} {event.version:6} champion: {event.champion or '-'}"
        + (f" ({event.reason})" if event.reason else "")
        for event in registry.history(settings)
    ] or ["no events yet"]
