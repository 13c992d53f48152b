"""Find the model versions that were tuned on posts of the deny list."""

from collections.abc import Collection, Sequence

from tuning.dataset.denied import Denied
from tuning.registry.records import Version


def tuned_on_denied(versions: Sequence[Version], denied: Sequence[Denied]) -> dict[str, list[int]]:
    """Return, by the name of the version, the denied posts that its dataset contained or that it continues."""
    found: dict[str, list[int]] = {}
    for entry in denied:
        for name in with_continued(versions, {one.name for one in versions if one.dataset_id in entry.datasets}):
            found.setdefault(name, []).append(entry.post_id)
    return found


def with_continued(versions: Sequence[Version], names: Collection[str]) -> set[str]:
    """Return the names, and those of the versions that continue one of them. A version continues only an older one."""
    found = set(names)
    for version in versions:
        if version.options.get("continues") in found:
            found.add(version.name)
    return found
