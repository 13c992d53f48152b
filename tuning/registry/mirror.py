"""The standing of our versions as aliases in Vertex AI's Model Registry, for the versions that Google tuned."""

from tuning.cloud.model_registry import set_alias
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.model_folder import open_model
from tuning.registry.records import Version
from tuning.settings import Settings


def mirror(settings: Settings) -> list[str]:
    """Make the aliases say what the registry says; return a line for each that changed.

    The champion is `champion`, the newest version that is not is `challenger`, no other has either alias. The registry
    here decides: where Google's cannot be reached, the TuningError says how to tell it later.
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
        again = f"`invoke promote {champion.name} --target gcp`" if champion else "The next promotion"
        raise TuningError(
            f"the registry is changed here and not in the Model Registry ({error})", f"{again} says it there again"
        ) from error
    return lines


def _registered_as(settings: Settings, version: Version) -> str:
    if version.tuner != "gemini":
        return ""
    return str(open_model(registry.model_folder(settings, version)).facts.get("registered_as") or "")
