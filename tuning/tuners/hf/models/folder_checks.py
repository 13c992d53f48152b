"""Check the folder of a base model before a library reads it. A folder can name code to run, or files elsewhere."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from tuning.errors import TuningError
from tuning.records import read_record

_WANTED = {
    "config.json": ["config.json"],
    "a tokenizer": ["tokenizer.json", "tokenizer.model", "vocab.json"],
    "weights as *.safetensors": ["*.safetensors"],
}
_SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "processor_config.json")
INDEX = "model.safetensors.index.json"
ADAPTER_SETTINGS = "adapter_config.json"
# transformers does not read this file. Many tokenizers still have its path on the machine of their author.
_UNUSED = "special_tokens_map_file"
_OTHER_MODEL = "Use a --base-model that transformers loads without code of its own"


def check_complete(folder: Path) -> None:
    """Raise TuningError if settings, tokenizer or weights are missing. Pickles, which can run code, are not taken."""
    for what, patterns in _WANTED.items():
        if not any(next(folder.glob(pattern), None) for pattern in patterns):
            raise TuningError(
                f"the base model folder {folder} does not contain {what}", "Save model and tokenizer in it"
            )


def check_safe(folder: Path) -> None:
    """Raise TuningError if the folder has code, or if it names code or files outside of it that would be loaded."""
    if code := next((path for pattern in ("*.py", "*/*.py") for path in sorted(folder.glob(pattern))), None):
        raise _refused(folder, f"contains Python code ({code.relative_to(folder)})", _OTHER_MODEL)
    if (folder / ADAPTER_SETTINGS).exists():
        raise _refused(
            folder,
            f"contains {ADAPTER_SETTINGS}, so another model would be loaded in its place",
            "Use a folder with a complete model, such as one with the adapter merged",
        )
    for name in _SETTINGS:
        for key, value in _entries(folder / name):
            if key == "auto_map":
                raise _refused(folder, f"names Python code to run (auto_map in {name})", _OTHER_MODEL)
            is_path = key.endswith(("_file", "_files")) and key != _UNUSED
            if is_path and any(_is_outside(path) for path in _texts(value)):
                raise _refused(folder, f"names a file outside of it ({key} in {name})", "Correct or delete this entry")
    for key, value in _entries(folder / INDEX):
        if key == "weight_map" and any(
            _is_outside(path) or not path.endswith(".safetensors") for path in _texts(value)
        ):
            raise _refused(folder, f"names a file that is not a *.safetensors file in it ({INDEX})", "Save it again")


def _entries(path: Path) -> Iterator[tuple[str, object]]:
    """Yield the keys and values of all objects in a JSON file. A missing file has none.

    Raises TuningError if the file is not valid.
    """
    if not path.exists():
        return
    waiting: list[object] = [read_record(path, dict[str, object], "Save model and tokenizer in its folder again")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _texts(value: object) -> list[str]:
    """Return a text, or the texts in a list or in the values of an object."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _is_outside(path: str) -> bool:
    is_absolute = PurePosixPath(path).is_absolute() or PureWindowsPath(path).anchor != ""
    return is_absolute or ".." in PureWindowsPath(path).parts or path.startswith("~") or "://" in path


def _refused(folder: Path, why: str, hint: str) -> TuningError:
    return TuningError(f"the base model folder {folder} {why}", hint)
