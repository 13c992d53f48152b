"""Find out whether two datasets were made alike, so that a difference between their examples comes from the data."""

from typing import Any, cast

import orjson

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS

# The others choose a random sample, or the side of each example, and both sides are compared.
_OPTIONS = ("preset", "body", "code", "decontaminate", "redact_rules", "decisions", "max_length")


def differences(reference: Dataset, current: Dataset) -> list[str]:
    """Return how the datasets were made differently, such as ``site cardano, now stackoverflow``. Empty: alike."""
    old, new = _made(reference), _made(current)
    return [
        f"{name} {_text(old.get(name))}, now {_text(new.get(name))}"
        for name in (old | new)
        if old.get(name) != new.get(name)
    ]


def _made(dataset: Dataset) -> dict[str, Any]:
    """Return what decides which examples there are and how they look: origin, mart, format, options and variables."""
    manifest = dataset.manifest
    build = manifest.build
    return {
        "site": build.get("site"),
        "own files": ", ".join(map(_file, _files(dataset))) or None,
        "mart": "preferences" if manifest.format in PREFERENCE_FORMATS else "instructions",
        "format": manifest.format,
        "--tag of ingest": build.get("tag_filter") or None,
        **{name: manifest.options.get(name) or None for name in _OPTIONS},
        **orjson.loads(str(build.get("variables") or "{}")),
    }


def repeats_rows(dataset: Dataset) -> bool:
    """Return whether the weight of an own file repeats rows of the dataset."""
    return any(_weight(one) > 1 for one in _files(dataset))


def _files(dataset: Dataset) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], dataset.manifest.build.get("files", []))


def _file(file: dict[str, Any]) -> str:
    """Return the name of an own file, with its weight as `--train` takes it."""
    return str(file["name"]) + (f"={_weight(file):g}" if _weight(file) != 1 else "")


def _weight(file: dict[str, Any]) -> float:
    return float(file.get("weight", 1))


def _text(value: Any) -> str:
    if value is None:
        return "none"
    text = str(value.get("name")) if isinstance(value, dict) else str(value)
    return repr(text) if not text or " " in text else text
