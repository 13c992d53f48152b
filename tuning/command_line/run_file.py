"""Read and write the file that repeats a run: the options of a command and settings, as YAML.

A key is the name of an option without its dashes, or that of a setting without TUNING_ and in small letters, with `-`
or `_` between words. Secrets and the home are not in such a file: they belong to the machine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tuning.command_line.shown import nearest
from tuning.errors import TuningError
from tuning.values import convert

RUN_FILE = "run.yaml"  # in the folder of each run
# What PyYAML raises beside its YAMLError for values such as `!!bool x`, `!!int ""`, 2020-13-99 and very deep lists.
WRONG_YAML = (ValueError, LookupError, AttributeError, RecursionError)
_DEPTH = 2  # the file has values, and a value can have values
_UNTAGGED = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:str")
_HEAD = "# The options and settings of a run. Repeat it: invoke {command} --config {file}\n"


class RunFile(msgspec.Struct, frozen=True):
    """Hold the text of the file that repeats a command. A task parameter of this type adds the option ``--config``."""

    text: str = ""


def read_run_file(
    path: Path, kinds: Mapping[str, Any], command: str, readers: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, object]:
    """Return the values in the file, by the names in `kinds`, the kinds of the options and settings of `command`.

    `readers` has the kinds of the options of all commands that read such a file, so that an error can name the command
    that has a key.

    A value is the text that is written, as on the command line: YAML itself would read 0123, 12:30 and 3.10 as other
    numbers. Raises TuningError if the file cannot be read, is not a mapping, or has an unknown key or a wrong value.
    """
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        content = None if root is None else _content(root)
    except OSError as error:
        raise TuningError(f"--config: {path} cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, *WRONG_YAML) as error:
        reason = " ".join(str(error).split())
        raise TuningError(f"--config: {path} is not valid YAML ({reason})") from None
    if root is None or content is None:
        return {}
    if not isinstance(content, dict):
        raise TuningError(f"--config: {path} is not a list of names with values", "Write lines such as: limit: 2000")
    names = {key_of(name): name for name in kinds}
    # Of two equal keys, the last one counts.
    written = [str(key.value).replace("_", "-") for key, _ in root.value]
    if twice := next((key for key in written if written.count(key) > 1), None):
        raise TuningError(f"--config: {path} has the key {twice} twice", "Delete one of the two lines")
    values: dict[str, object] = {}
    for key, value in content.items():
        name = names.get(str(key).replace("_", "-"))
        if name is None:
            written_key = str(key).replace("_", "-")
            owners = [
                f"`invoke {other}`" for other, some in (readers or {}).items() if written_key in map(key_of, some)
            ]
            if owners:
                raise TuningError(
                    f"--config: {path} has the key {key}, which belongs to {' and '.join(owners)}",
                    f"Leave it out for `invoke {command}`",
                )
            hint = nearest(written_key, names).strip()
            raise TuningError(
                f"--config: {path} has the unknown key {key}", hint or f"See `invoke config --schema --of {command}`"
            )
        if value is None:
            continue
        try:
            values[name] = _converted(value, kinds[name])
        except ValueError as error:
            raise TuningError(f"--config: {path}: {key} {error}") from None
    return values


def _content(node: Any, depth: int = 0) -> object:
    """Return the content of a YAML node: a text, None, or a list or mapping of these.

    What is in a list inside a list is left out, because no option takes it, and aliases could make it endless. Raises
    ValueError at a tag such as `!!int`.
    """
    import yaml

    if node.tag not in _UNTAGGED:
        raise ValueError(f"it has a tag in line {node.start_mark.line + 1}: write the value without it")
    inside = node.value if depth < _DEPTH else []
    if isinstance(node, yaml.MappingNode):
        return {str(_content(key, _DEPTH)): _content(value, depth + 1) for key, value in inside}
    if isinstance(node, yaml.SequenceNode):
        return [_content(one, depth + 1) for one in inside]
    return None if node.style is None and node.value.lower() in ("", "~", "null") else node.value


def _converted(value: object, hint: Any) -> object:
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value)):
        raise ValueError("takes one value, or a list of values")
    is_list = msgspec.inspect.type_info(list[int]).__class__ in _types(hint)
    if isinstance(value, list) != is_list:
        value = [value] if is_list else value
    if isinstance(value, list) and None in value:
        raise ValueError("takes a list without empty values")
    if isinstance(value, list) and not is_list:
        raise ValueError("takes one value, not a list")
    if msgspec.inspect.BoolType in _types(hint) and str(value) in ("True", "TRUE", "False", "FALSE"):
        value = str(value).lower()
    return convert(value, hint)


def _types(hint: Any) -> set[type]:
    info = msgspec.inspect.type_info(hint)
    info = info.type if isinstance(info, msgspec.inspect.Metadata) else info
    return {type(one) for one in info.types} if isinstance(info, msgspec.inspect.UnionType) else {type(info)}


def run_text(command: str, values: Mapping[str, object]) -> str:
    """Return the file that repeats `command` with these options and settings, by name."""
    import yaml

    plain = {key_of(name): msgspec.to_builtins(value) for name, value in sorted(values.items())}
    body = yaml.safe_dump(plain, sort_keys=True, allow_unicode=True, width=10_000) if plain else "{}\n"
    return _HEAD.format(command=command, file=RUN_FILE) + body


def schema_of(kinds: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Return the JSON schema of the file of a command, made from the declarations of the options and settings."""
    fields = [(name.strip("_"), hint, None) for name, hint in sorted(kinds.items())]
    renamed = {name: name.replace("_", "-") for name, _, _ in fields}
    struct = msgspec.defstruct("Run", fields, kw_only=True, forbid_unknown_fields=True, rename=renamed)
    (found,), parts = msgspec.json.schema_components([struct], schema_hook=lambda _: {"type": "string"})
    schema = parts[found["$ref"].rpartition("/")[2]]
    for one in schema["properties"].values():
        one.pop("default", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": f"The options and settings of `invoke {command}`",
    }


def key_of(name: str) -> str:
    """Return an option or setting as a file and the command line name it."""
    return name.strip("_").replace("_", "-")
