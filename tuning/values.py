"""Convert the texts of options and settings to their declared kinds, and describe these kinds.

A kind is a type with the constraints of ``msgspec.Meta``: ``Annotated[int, Meta(ge=1)]``. The command line and the
settings use the same functions, so a value has one range, one message and one description.
"""

import math
import re
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

from msgspec import Meta

from tuning.paths import expanded, input_problem, output_problem

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
CountOrZero = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Processes = Annotated[int, Meta(ge=1, le=1024)]
# The name of a file or folder that this package made, such as a dataset's ID. Most file systems allow 255 bytes.
Name = Annotated[
    str,
    Meta(
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}",
        title="a name of letters, digits and _.-",
        extra={"word": "NAME"},
    ),
]
Text = Annotated[str, Meta(min_length=1)]
# A text that no program takes for an option or for several lines.
NotAnOption = Annotated[str, Meta(pattern=r"(?!-)[^\x00-\x1f\x7f]{1,4096}", title="one line that begins with no -")]
Address = Annotated[str, Meta(pattern=r"(gs://|\./)[!-~]{1,1000}", title="gs://BUCKET/NAME", extra={"word": "ADDRESS"})]
Repository = Annotated[str, Meta(pattern=r"hf://[\w.-]+/[\w.-]+", title="hf://USER/NAME", extra={"word": "ADDRESS"})]
JobName = Annotated[str, Meta(pattern=r"[A-Za-z0-9][A-Za-z0-9-]{0,200}", title="an ID of letters, digits and -")]
RayAddress = Annotated[
    str,
    Meta(
        pattern=r"auto|([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}",
        title="HOST:PORT or auto",
        extra={"word": "ADDRESS"},
    ),
]
Version = Annotated[str, Meta(pattern=r"[\w.-]{1,100}", title="a version such as v2", extra={"word": "VERSION"})]
MachineType = Annotated[
    str,
    Meta(
        pattern=r"[a-z][a-z0-9]*(-[a-z0-9]+){1,3}", title="a machine type such as g2-standard-8", extra={"word": "NAME"}
    ),
]
Date = Annotated[str, Meta(pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}", title="a date: YYYY-MM-DD", extra={"word": "DATE"})]
Age = Annotated[
    str, Meta(pattern=r"[0-9]{1,5}[hdw]", min_length=1, title="a number of hours, days or weeks: 12h, 30d or 4w")
]
Tuner = Annotated[
    str, Meta(pattern=r"hf|gemini|[A-Za-z_][\w.]*:[A-Za-z_]\w*", title="hf, gemini or package.module:Class")
]
InputFile = Annotated[str, Meta(extra={"path": "read"})]
InputPath = Annotated[str, Meta(extra={"path": "read any"})]
# GPUs of machines on Vertex AI, by Google's names (enum `MachineSpec.acceleratorType` of its API).
Gpu = Literal[
    "NVIDIA_TESLA_T4",
    "NVIDIA_TESLA_V100",
    "NVIDIA_L4",
    "NVIDIA_TESLA_A100",
    "NVIDIA_A100_80GB",
    "NVIDIA_H100_80GB",
    "NVIDIA_H200_141GB",
]
Accelerator = Literal["default", "none", Gpu]  # of a pipeline's step
OutputFile = Annotated[str, Meta(extra={"path": "write"})]

_INT64 = 2**63
_WHOLE = re.compile("[+-]?[0-9]{1,30}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?")
_LONGEST = 80  # characters of a value that a message shows


def convert(value: Any, hint: Any) -> Any:
    """Return `value` as the kind `hint`. A text is parsed; a value that already has the type is only checked.

    Raises ValueError with the part of a message that follows the name of the option: ``takes a whole number, not 'x'``.
    """
    kind, metas = _plain(hint)
    if kind is list:
        return [convert(one, get_args(_without_none(hint))[0]) for one in value]
    if isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError(f"takes text in UTF-8, not {shown(value)}")
        if "\0" in value:
            raise ValueError(f"cannot contain a null character, as in {shown(value)}")
    if value == "" and _needs_text(kind, metas):
        raise ValueError("must not be empty. Give a value, or leave it out")
    result = _parsed(value, kind)
    if result is None or not _fits(result, kind, metas):
        if get_origin(kind) is Literal:
            raise ValueError(f"cannot be {shown(value)}. Choose one of: {', '.join(get_args(kind))}")
        noun = _noun(kind) if result is None else describe_kind(hint)
        raise ValueError(f"takes {noun or 'another text'}, not {shown(value)}")
    for meta in metas:
        if use := (meta.extra or {}).get("path"):
            _check_path(str(value), use)
        if (meta.extra or {}).get("address"):
            _check_address(str(value), describe_kind(hint))
    return result


def read_number(text: str, kind: type[int] | type[float]) -> int | float | None:
    """Return the number that a text is, or None. It has digits of ASCII, and neither blanks nor `_` around or in them.

    Python's own `int` and `float` also take `1_0`, ` 1`, `\uff11` and `nan`, and nobody means these.
    """
    return kind(text) if (_WHOLE if kind is int else _DECIMAL).fullmatch(text) else None


def describe_kind(hint: Any) -> str:
    """Return which values the kind `hint` allows, such as ``a whole number from 1 to 10``, or '' for any text."""
    kind, metas = _plain(hint)
    if kind is list:
        return describe_kind(get_args(_without_none(hint))[0])
    if get_origin(kind) is Literal:
        return f"one of: {', '.join(get_args(kind))}"
    title = next((meta.title for meta in metas if meta.title), "")
    return title or " ".join(part for part in (_noun(kind), _range(metas)) if part)


def kind_word(hint: Any) -> str:
    """Return one word for the kind `hint`, as a help text shows it: NUMBER, FILE, CHOICE, and TEXT for any other."""
    kind, metas = _plain(hint)
    if kind is list:
        return kind_word(get_args(_without_none(hint))[0])
    extra = {name: value for meta in metas for name, value in (meta.extra or {}).items()}
    if "path" in extra:
        return "PATH" if extra["path"] == "read any" else "FILE"
    by_type = {int: "NUMBER", float: "NUMBER", bool: "true|false"}
    return str(extra.get("word") or ("CHOICE" if get_origin(kind) is Literal else by_type.get(kind, "TEXT")))


def is_repeatable(hint: Any) -> bool:
    """Return whether an option of this kind can be given several times."""
    return _plain(hint)[0] is list


def shown(value: object) -> str:
    """Return the value as a message shows it: quoted, printable, and cut if it is long."""
    text = str(value)
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _plain(hint: Any) -> tuple[Any, list[Meta]]:
    """Return the type of `hint` without None and constraints, and the constraints."""
    metas: list[Meta] = []
    while True:
        if get_origin(hint) is Annotated:
            metas = [*(one for one in hint.__metadata__ if isinstance(one, Meta)), *metas]
            hint = get_args(hint)[0]
        elif get_origin(hint) in (Union, types.UnionType):
            hint = next(one for one in get_args(hint) if one is not type(None))
        else:
            return (list if get_origin(hint) is list else hint), metas


def _without_none(hint: Any) -> Any:
    while get_origin(hint) is not list:
        hint = next(one for one in get_args(hint) if one is not type(None))
    return hint


def _parsed(value: Any, kind: Any) -> Any:
    """Return `value` as the type `kind`, or None if it is not one."""
    if kind is bool:
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))
    if kind in (int, float):
        return None if isinstance(value, bool) else read_number(str(value), kind)
    if get_origin(kind) is Literal:
        return value
    return Path(value) if kind is Path else str(value)


def _fits(value: Any, kind: Any, metas: list[Meta]) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is int and not -_INT64 <= value < _INT64:
        return False
    if kind is float and not math.isfinite(value):
        return False
    return all(_meets(value, meta) for meta in metas)


def _meets(value: Any, meta: Meta) -> bool:
    return not (
        (meta.ge is not None and value < meta.ge)
        or (meta.gt is not None and value <= meta.gt)
        or (meta.le is not None and value > meta.le)
        or (meta.lt is not None and value >= meta.lt)
        or (meta.pattern is not None and not re.fullmatch(meta.pattern, value))
        or (meta.min_length is not None and len(value) < meta.min_length)
        or (meta.max_length is not None and len(value) > meta.max_length)
    )


def _needs_text(kind: Any, metas: list[Meta]) -> bool:
    """Return whether a kind is the name of something. Other texts, such as a template, can be empty."""
    return kind is str and any(meta.pattern or meta.min_length or "path" in (meta.extra or {}) for meta in metas)


def _noun(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "")


def _range(metas: list[Meta]) -> str:
    names = ("ge", "gt", "le", "lt", "max_length")
    limits = {name: value for meta in metas for name in names if (value := getattr(meta, name)) is not None}
    if "max_length" in limits:
        return f"text of at most {limits['max_length']:,} characters"
    if "ge" in limits and "le" in limits:
        return f"from {limits['ge']:,} to {limits['le']:,}"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    return " and ".join(f"{words[name]} {limits[name]:,}" for name in words if name in limits)


def _check_address(text: str, kind: str) -> None:
    """Raise ValueError if the host or the port of a URL cannot be one, such as ``http://[::1`` and ``http://a:99999``."""
    try:
        _ = urlsplit(text).port
    except ValueError as error:
        raise ValueError(f"takes {kind}, not {shown(text)} ({error})") from None


def _check_path(text: str, use: str) -> None:
    """Raise ValueError if the path cannot be read or written."""
    path = expanded(text)
    try:
        problem = output_problem(path) if use == "write" else input_problem(path, folders=use == "read any")
    except OSError as error:
        problem = f"cannot be used ({error.strerror})"
    if problem:
        raise ValueError(f"names {shown(text)}, which {problem}")
