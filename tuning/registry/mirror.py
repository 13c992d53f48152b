"""Mark the registry's champion and challenger in Vertex AI's Model Registry, with aliases.

Only versions that Gemini tuning created are in that registry.
"""

from tuning.cloud.model_registry import set_alias
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.model_folder import open_model
from tuning.registry.records import Version
from tuning.settings import Settings


def mirror(settings: Settings) -> list[str]:
    """Set the aliases to match the local registry. Return a line for each version whose alias changed.

    The champion gets the alias `champion`, and the newest other version gets `challenger`. All other versions get
    neither. Raises TuningError if Google's registry cannot be changed; the message names the command to try again.
    """
    versions = registry.versions(settings)
    champion = registry.champion(settings)
    others = [version.name for version in versions if champion is None or version.name != champion.name]
    standing = {champion.name: "champion"} if champion else {}
    if others:
        standing[others[-1]] = "challenger"
    lines = []
    try:
        for version in versions:
            name, alias = _registered_as(settings, version), standing.get(version.name, "")
            if name and set_alias(settings, name, alias):
                what = alias or "neither champion nor challenger"
                lines.append(f"{version.name} is {what} in the Model Registry ({name})")
    except TuningError as error:
        command = f"Run `invoke promote {champion.name} --target gcp`" if champion else "Promote a version"
        raise TuningError(
            f"the local registry is up to date, but Vertex AI's Model Registry is not ({error})",
            f"{command} to update it",
        ) from error
    return lines


def _registered_as(settings: Settings, version: Version) -> str:
    if version.tuner != "gemini":
        return ""
    return str(open_model(registry.model_folder(settings, version)).facts.get("registered_as") or "")
