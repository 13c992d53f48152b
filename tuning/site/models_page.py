"""Make the page of the models: champion and challengers, history with reasons, and the lineage of each version."""

from pathlib import Path
from typing import Any

from tuning.dataset.dataset import Dataset
from tuning.dataset.denied import deny_list
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.forgotten import tuned_on_denied
from tuning.registry.journal import number_of
from tuning.registry.listing import changes
from tuning.registry.records import Event, Version
from tuning.settings import Settings
from tuning.site.pages import write_page
from tuning.site.run_page import command

_LOCAL = "hf"  # the tuner whose models this machine serves


def write_models_page(
    folder: Path, settings: Settings, versions: list[Version], datasets: dict[str, Dataset], shared: dict[str, Any]
) -> None:
    """Write models.html. `versions` are the oldest first, and `datasets` those of this home, by ID."""
    champion = registry.champion(settings)
    events = registry.history(settings)
    forgotten = tuned_on_denied(versions, deny_list(settings))
    view = {
        **shared,
        "champion": champion,
        "models": [
            {
                "version": version,
                "standing": _standing(version, champion, events),
                "against": list(changes(version.verdict)),
                "forgotten": forgotten.get(version.name, []),
                "command": command(version),
                "lineage": _lineage(settings, version, datasets.get(version.dataset_id)),
            }
            for version in reversed(versions)
        ],
        "events": events[::-1],
    }
    write_page(folder / "models.html", "models.html.j2", view)


def _standing(version: Version, champion: Version | None, events: list[Event]) -> str:
    """Return what the version is: champion, challenger (newer than the champion), or one of the others."""
    if champion and version.name == champion.name:
        return "champion"
    if any(event.champion == version.name for event in events):
        return "was champion"
    newer = champion is None or number_of(version.name) > number_of(champion.name)
    return "challenger" if newer else "not released"


def _lineage(settings: Settings, version: Version, dataset: Dataset | None) -> list[tuple[str, str, str]]:
    """Return the way from the table to the endpoint: the kind of each place, its name, and the page about it."""
    build = dataset.manifest.build if dataset else {}
    kind = "preferences" if "preference" in version.format else "instructions"
    pages = f"datasets/{version.dataset_id}/index.html" if dataset else ""
    mart = [] if build.get("kind") == "own" else [("mart", f"python_qa_{kind}", "")]
    places = [
        ("source", str(build.get("name") or "unknown: the dataset is not in this home"), ""),
        *mart,
        ("dataset", version.dataset_id, pages),
        ("run", version.run_id, f"runs/{version.run_id}/index.html"),
        ("model", f"{version.name}, {version.base_model} tuned by {version.tuner}", f"#{version.name}"),
    ]
    return [*places, ("endpoint", _endpoint(settings, version), "")]


def _endpoint(settings: Settings, version: Version) -> str:
    if version.tuner == _LOCAL:
        return f"invoke serve --model {version.name} (OpenAI's chat API on this machine)"
    try:
        return registry.describe(settings, version).uri
    except TuningError as error:
        return f"unknown: {error}"
