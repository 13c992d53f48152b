"""Plain dbt, as a person runs it in the project's folder, against the server of one home."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import orjson

from tests.dbt_project.compiled_project import DBT_PROJECT
from tuning.settings import Settings
from tuning.warehouse.client import connect
from tuning.warehouse.dbt_process import environment

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult


@dataclass(frozen=True)
class Dbt:
    """Runs `dbt` on the project (or a copy of it) with the settings of a home whose server runs."""

    settings: Settings
    project: Path
    folder: Path  # where dbt writes

    def run(self, *arguments: str, variables: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        command = [
            *(str(Path(sys.executable).with_name("dbt")), *arguments),
            *("--log-path", str(self.folder / "logs"), "--no-use-colors"),
            *(() if "debug" in arguments else ("--target-path", str(self.folder / "target"))),
            *_vars(variables),
        ]
        return subprocess.run(
            command, cwd=self.project, env=environment(self.settings), capture_output=True, text=True, check=False
        )

    def run_here(self, *arguments: str, variables: dict[str, Any] | None = None) -> None:
        """Run dbt in this process, which saves its start, and succeed."""
        done = self._invoke("--log-level", "none", *arguments, *_vars(variables))
        if done.exception is not None:
            raise done.exception
        assert done.success, self.results()

    def refused_here(self, *arguments: str, variables: dict[str, Any] | None = None) -> str:
        """Run dbt in this process, and return what it prints when it fails."""
        with redirect_stdout(StringIO()) as printed:
            done = self._invoke("--no-use-colors", *arguments, *_vars(variables))
        assert not done.success, printed.getvalue()
        return printed.getvalue()

    def _invoke(self, *arguments: str) -> "dbtRunnerResult":
        from dbt.cli.main import dbtRunner

        folders = ("--project-dir", str(self.project), "--profiles-dir", str(self.project))
        places = ("--target-path", str(self.folder / "target"), "--log-path", str(self.folder / "logs"))
        with patch.dict(os.environ, environment(self.settings)):
            return dbtRunner().invoke([*arguments, *folders, *places])

    def succeed(self, *arguments: str, variables: dict[str, Any] | None = None) -> None:
        done = self.run(*arguments, variables=variables)
        assert done.returncode == 0, done.stdout

    def results(self) -> dict[str, str]:
        """The status of each node of the last run, by its id."""
        results = orjson.loads((self.folder / "target" / "run_results.json").read_bytes())["results"]
        return {result["unique_id"]: result["status"] for result in results}

    def table(self, name: str) -> str:
        """The address of a model's table as the last run placed it."""
        manifest = orjson.loads((self.folder / "target" / "manifest.json").read_bytes())
        (model,) = (n for n in manifest["nodes"].values() if n["resource_type"] == "model" and n["name"] == name)
        return str(model["relation_name"])

    def rows(self, name: str, columns: str = "*") -> list[dict[str, Any]]:
        client = connect(self.settings)
        return [dict(row.items()) for row in client.query(f"select {columns} from {self.table(name)}").result()]  # noqa: S608


def _vars(variables: dict[str, Any] | None) -> tuple[str, ...]:
    return ("--vars", json.dumps(variables, ensure_ascii=False)) if variables else ()


def copy_of_the_project(folder: Path, denied: list[int]) -> Path:
    """The project with a deny list of its own."""
    shutil.copytree(DBT_PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"))
    lines = ["post_id,reason", *(f"{post_id},its author asked" for post_id in denied)]
    (folder / "seeds" / "denied_posts.csv").write_text("\n".join(lines) + "\n")
    return folder
