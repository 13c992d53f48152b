"""What the package imports is what pyproject.toml asks for."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from tuning.settings import PROJECT_ROOT


def imported(path: Path) -> set[str]:
    """The outermost names of the modules that a file imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def distribution(name: str) -> str:
    """The name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_library_that_the_package_imports_is_declared() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["warehouse"], *extras["local"], *extras["ray"]]
    declared = {distribution(re.split(r"[<>=~!\[ ]", one)[0]) for one in asked}
    names = set().union(*(imported(path) for path in (PROJECT_ROOT / "tuning").rglob("*.py")))
    # `google` is the roof over many libraries, `tests` the benchmarks of a checkout.
    libraries = names - sys.stdlib_module_names - {"tuning", "tests", "google"}
    providers = packages_distributions()
    missing = {name for name in libraries if not {distribution(one) for one in providers[name]} & declared}
    assert missing == set()
