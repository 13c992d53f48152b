"""The layers of the package are enforced, and its folders stay small."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tuning.settings import PROJECT_ROOT

MOST_FILES = 16
MOST_PARAMETERS = 7


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("tuning/dataset/funnel.py", "import tuning.pipelines.hello", "Stages import only from the stages below them"),
        ("tuning/settings.py", "import tasks", "No stage imports the command line or the tests"),
        ("tuning/dataset/card/facts.py", "import tuning.dataset.create", "import each other in a circle"),
        ("tuning/__init__.py", "", ""),
    ],
)
def test_a_planted_import_against_the_layers_is_found(file: str, line: str, broken: str, tmp_path: Path) -> None:
    shutil.copytree(PROJECT_ROOT / "tuning", tmp_path / "tuning", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tasks.py"):
        shutil.copy(PROJECT_ROOT / name, tmp_path)
    with (tmp_path / file).open("a") as module:
        module.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert (result.returncode == 0) is (not broken), result.stdout + result.stderr
    assert [name for name in result.stdout.splitlines() if name.endswith("BROKEN") and broken in name] or not broken


def long_signatures(tree: ast.AST) -> list[str]:
    """The functions with too many parameters, without KFP's components and pipelines, whose signature KFP reads."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            names = [one.arg for one in given if one and one.arg not in ("self", "cls")]
            read_by_kfp = any("dsl." in ast.unparse(decorator) for decorator in node.decorator_list)
            if len(names) > MOST_PARAMETERS and not read_by_kfp:
                found.append(node.name)
    return found


def test_no_function_takes_more_than_seven_parameters() -> None:
    found = {
        f"{path.relative_to(PROJECT_ROOT)}: {name}"
        for path in (PROJECT_ROOT / "tuning").rglob("*.py")
        for name in long_signatures(ast.parse(path.read_text()))
    }
    assert found == set()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f(a, b, c, d, *, e, f, g): ...", []),
        ("def f(a, b, c, d, *, e, f, g, h): ...", ["f"]),
        ("class A:\n    def f(self, a, b, c, d, e, f, g): ...", []),
        ("class A:\n    def f(self, a, b, c, d, e, f, *g, **h): ...", ["f"]),
        ("@dsl.component(base_image=x)\ndef f(a, b, c, d, e, f, g, h): ...", []),
    ],
)
def test_a_planted_long_signature_is_found(code: str, names: list[str]) -> None:
    assert long_signatures(ast.parse(code)) == names


def test_no_folder_has_more_than_sixteen_python_files() -> None:
    folders = {path.parent for top in ("tuning", "tests") for path in (PROJECT_ROOT / top).rglob("*.py")}
    sizes = {str(folder.relative_to(PROJECT_ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: size for name, size in sizes.items() if size > MOST_FILES} == {}
