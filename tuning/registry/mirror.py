"""Show the registry in Vertex AI's Model Registry: each version is a model there, with its metrics and aliases.

Tuning registers a Gemini model there itself. A model that was tuned elsewhere is uploaded from the registry's bucket.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from tuning.cloud.model_registry import Upload, find_model, import_metrics, set_alias, upload_model
from tuning.errors import TuningError
from tuning.evaluation.gate import in_words
from tuning.gcs.access import label
from tuning.gcs.object_file import PARALLEL
from tuning.numbers import number_of
from tuning.registry import registry
from tuning.registry.journal import read_journal
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.tuners.hf.train.saved import ADAPTER

_MOST_WORDS = 500  # characters of a description


def mirror(settings: Settings) -> list[str]:
    """Make Model Registry equal to the registry. Return a line for each change.

    The champion gets the alias `champion`, and the newest other version gets `challenger`. All other versions get
    neither. If the registry changes meanwhile, everything is done again: of two homes that do this at the same time,
    the last one to end leaves the last champion. Raises TuningError if Google's registry cannot be changed; the message
    names the command to try again.
    """
    lines: list[str] = []
    while True:
        before = read_journal(settings).generation
        champion = registry.champion(settings)
        try:
            lines += _mirror(settings, registry.versions(settings), champion)
        except TuningError as error:
            command = f"Run `invoke promote {champion.name} --target gcp`" if champion else "Promote a version"
            raise TuningError(
                f"the registry is up to date, but Vertex AI's Model Registry is not ({error})",
                f"{command} to update it",
            ) from error
        if read_journal(settings).generation == before:
            return lines


def _mirror(settings: Settings, versions: list[Version], champion: Version | None) -> list[str]:
    others = [version.name for version in versions if champion is None or version.name != champion.name]
    standing = {champion.name: "champion"} if champion else {}
    if others:
        standing[others[-1]] = "challenger"
    lines = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = zip(versions, pool.map(lambda version: _find(settings, version), versions), strict=True)
        names = {version.name: name for version, name in found}
        for version in versions:
            if version.tuner not in ("gemini", "hf"):
                lines.append(f"{version.name} is not in the Model Registry: no container serves {version.tuner}")
            elif version.tuner == "hf" and not names[version.name]:
                if reason := why_not_served(settings, version):
                    lines.append(f"{version.name} is not in the Model Registry: {reason}")
                    continue
                names[version.name] = upload_model(settings, _upload(settings, version))
                lines.append(f"{version.name} is uploaded to the Model Registry ({names[version.name]})")
        placed = [version for version in versions if names[version.name]]
        lines += filter(None, pool.map(lambda one: _import_metrics(settings, one, names[one.name]), placed))
    # First take aliases away, so that there are never two champions.
    for version in sorted(placed, key=lambda version: version.name in standing):
        alias = standing.get(version.name, "")
        if set_alias(settings, names[version.name], alias):
            what = alias or "neither champion nor challenger"
            lines.append(f"{version.name} is {what} in the Model Registry ({names[version.name]})")
    return lines


def why_not_served(settings: Settings, version: Version) -> str:
    """Return why Google's container cannot serve a version of the tuner hf, or ''.

    The container loads one folder of weights. vLLM also takes adapters, but it needs the weights of the base beside
    them: https://docs.vllm.ai/en/latest/features/lora.html
    """
    if not has_only_adapter(settings, version):
        return ""
    return "only its adapter was kept, and Google's container needs whole weights: tune it again with --keep merged"


def has_only_adapter(settings: Settings, version: Version) -> bool:
    """Return whether only the adapter of a version of the tuner hf was kept."""
    return PurePosixPath(registry.describe(settings, version).uri).name == ADAPTER


def _find(settings: Settings, version: Version) -> str:
    """Return the name of the version in Model Registry, or '' if it is not there."""
    if version.tuner == "gemini":
        return str(registry.describe(settings, version).facts.get("registered_as") or "")
    return (find_model(settings, version.name) if version.tuner == "hf" else None) or ""


def _import_metrics(settings: Settings, version: Version, name: str) -> str:
    return import_metrics(settings, name, f"{version.name} of run {version.run_id}", version.metrics)


def _upload(settings: Settings, version: Version) -> Upload:
    folder = registry.describe(settings, version).uri
    metrics = ", ".join(f"{name} {number_of(name, value)}" for name, value in sorted(version.metrics.items()))
    return Upload(
        alias=version.name,
        description=f"{in_words(version.verdict)} Held-out examples: {metrics}."[:_MOST_WORDS],
        labels={
            name: label(value)
            for name, value in {
                "version": version.name,
                "base_model": version.base_model,
                "dataset_id": version.dataset_id,
                "run_id": version.run_id,
                "verdict": version.verdict.status,
            }.items()
        },
        artifact=f"{registry.model_address(settings, version)}/{folder}",
    )
