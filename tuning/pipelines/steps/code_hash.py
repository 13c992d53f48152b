"""Compute a hash of the code that a step runs, because KFP's cache only compares a step's arguments."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tuning.errors import TuningError
from tuning.settings import DBT_PROJECT
from tuning.storage import dbt_project_sha256, sha256_of

_PACKAGE = "tuning"
_READS_DBT_PROJECT = "tuning.warehouse.variables"
# Libraries whose versions can change the output of a step.
_LIBRARIES = ("torch", "transformers", "trl", "peft", "google-genai", "numpy", "sacrebleu", "rouge-score")
_DATA = ("templates", "suites")  # the files in folders with these names next to a module count as its code


def code_sha256(module: str, tuner: str, image: str = "") -> str:
    """Return two hashes, joined by a dash: of the sources that `module` uses, and of its libraries.

    The libraries are those of the container image, which its digest identifies, or those of this machine if `image` is
    empty.
    """
    versions = image or "\n".join(f"{library} {_installed(library)}" for library in _LIBRARIES)
    return f"{sources_sha256(module, tuner)}-{hashlib.sha256(versions.encode()).hexdigest()}"


def check_code(module: str, tuner: str, code: str) -> None:
    """Compare the sources here with those of `code`, a result of `code_sha256`. Raises TuningError if they differ.

    The libraries are not compared, because a machine that only submits jobs needs no PyTorch, for example.
    """
    if sources_sha256(module, tuner) != code.partition("-")[0]:
        raise TuningError(
            "the code of this step is not the code that started the run",
            "Run the command again; on Vertex AI, first build and push the image from the same code, and set "
            "TUNING_IMAGE to its digest",
        )


def sources_sha256(module: str, tuner: str) -> str:
    """Return a hash of the sources that `module` uses. A checkout and an installed package give the same hash.

    It covers the modules from `reached` with their templates and suites, the dbt project if one of them reads it, and
    the module of a custom tuner (``package.module:Class``).
    """
    total = hashlib.sha256()
    modules = reached(module)
    if _READS_DBT_PROJECT in modules:
        total.update(f"dbt_project {dbt_project_sha256(DBT_PROJECT)}\n".encode())
    for name, path in sorted(modules.items()):
        total.update(f"{name} {sha256_of(path)}\n".encode())
        for data in sorted(data for folder in _DATA for data in (path.parent / folder).glob("*")):
            total.update(f"{name} {data.name} {sha256_of(data)}\n".encode())
    own, colon, _ = tuner.partition(":")
    spec = importlib.util.find_spec(own) if colon else None
    if spec and spec.origin:
        total.update(f"{own} {sha256_of(Path(spec.origin))}\n".encode())
    return total.hexdigest()


def reached(module: str) -> dict[str, Path]:
    """Return the source files, by module name, of `module` and the modules of this package that it imports.

    Indirect imports and imports inside functions count too.
    """
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
    except PackageNotFoundError:  # tuning on Vertex AI needs no torch, for example
        return "none"
