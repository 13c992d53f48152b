"""A hash of the code that a step runs, since KFP's cache knows only a step's arguments."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tuning.storage import sha256_of

_PACKAGE = "tuning"
# Libraries whose versions change what a step makes.
_LIBRARIES = ("torch", "transformers", "trl", "peft", "google-genai", "numpy", "sacrebleu", "rouge-score")
_DATA = "templates"  # a folder of this name beside a module counts as its code


def code_sha256(module: str, tuner: str) -> str:
    """A hash of `module` and of every module of this package that it reaches by import statements, of a tuner of your
    own (``package.module:Class``), and of the libraries' versions."""
    total = hashlib.sha256()
    for name, path in sorted(reached(module).items()):
        total.update(f"{name} {sha256_of(path)}\n".encode())
        for data in sorted((path.parent / _DATA).glob("*")):
            total.update(f"{name} {data.name} {sha256_of(data)}\n".encode())
    own, colon, _ = tuner.partition(":")
    spec = importlib.util.find_spec(own) if colon else None
    if spec and spec.origin:
        total.update(f"{own} {sha256_of(Path(spec.origin))}\n".encode())
    for library in _LIBRARIES:
        total.update(f"{library} {_installed(library)}\n".encode())
    return total.hexdigest()


def reached(module: str) -> dict[str, Path]:
    """The source file of `module` and of each module that it imports, at its top or inside a function."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if path and name not in found:
            found[name] = path
            waiting += _imports(path)
    return found


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _source(name: str) -> Path | None:
    if name.split(".")[0] != _PACKAGE:
        return None
    path = Path(__file__).parents[2].joinpath(*name.split(".")[1:])
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # the cloud's users need no torch
        return "none"
