"""Plant faults in a copy of the dbt project, one by one, and print which test caught each.

Run it as `python -m tests.dbt_project.planted.plant_faults`.
It starts a separate warehouse, filled with the invented site.
1. faults that change what is built: the unit test that is named beside the fault must fail;
2. faults that the compiled project alone shows: Google's analyzer, the YAML's columns, the project's rules, the scans.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import orjson

from tests.dbt_project import invented_source
from tests.dbt_project.compiled_project import Compiled, invented_credentials
from tests.dbt_project.google_analyzer import analyze, declared
from tests.dbt_project.planted.faults import FAULTS, Fault
from tests.dbt_project.project_rules import RULES, singular_tests_are_described
from tests.dbt_project.running_dbt import copy_of_the_project
from tests.dbt_project.test_scans import raw_scans
from tuning.settings import Settings
from tuning.warehouse import emulator
from tuning.warehouse.dbt_process import environment

READERS = {"int_questions_tagged", "int_answers_to_tagged_questions"}


@dataclass(frozen=True)
class Workshop:
    """A copy of the project and a warehouse in which all of it is built."""

    settings: Settings
    project: Path
    folder: Path

    def caught_by(self, fault: Fault) -> list[str]:
        """Names of the tests that fail while the fault is in."""
        path = self.project / fault.file
        before = path.read_text()
        fault.plant(self.project)
        try:
            return self._failing(fault.unit_test) if fault.unit_test else list(self._broken())
        finally:
            path.write_text(before)

    def build(self) -> list[str]:
        """All seeds and models, which unit tests take their columns from; returns what failed."""
        tests = ("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")
        return self._dbt("build", *tests, environ=environment(self.settings))

    def _failing(self, unit_test: str) -> list[str]:
        return self._dbt("test", "--select", unit_test, environ=environment(self.settings))

    def _broken(self) -> Iterator[str]:
        self._dbt("compile", "--no-populate-cache", environ=invented_credentials(self.folder), target="gcp")
        project = Compiled(orjson.loads((self.folder / "gcp" / "manifest.json").read_bytes()))
        analysis = analyze(project)
        if analysis.refused:
            yield "google's analyzer"
        if any(list(analysis.columns[node["name"]].items()) != list(declared(node).items()) for node in project.models):
            yield "the YAML's columns and types"
        # dbt's partial parser forgets the descriptions of singular tests if a macro changes: ignore that rule here.
        rules = (rule for rule in RULES if rule is not singular_tests_are_described)
        yield from (rule.__name__ for rule in rules if list(rule(project)))
        scans = raw_scans(project)
        if any("body" in columns for name in set(scans) - READERS for columns in scans[name].values()):
            yield "the scans"
        if "closed_date" in str(list(scans.values())):
            yield "the scans, a column that the public dataset lacks"

    def _dbt(self, *arguments: str, environ: dict[str, str], target: str = "local") -> list[str]:
        """Run dbt in this process, which saves its start; returns the ids of nodes that failed.

        Each target has a folder of its own: there dbt reads only what has changed since its last command.
        """
        from dbt.cli.main import dbtRunner

        with patch.dict(os.environ, environ):
            result = dbtRunner().invoke(
                [
                    *("--log-level", "none", "--log-path", str(self.folder / "logs")),
                    *(("--no-write-json",) if arguments[0] == "test" else ()),  # nobody reads what it would write
                    *arguments,
                    *("--project-dir", str(self.project), "--profiles-dir", str(self.project)),
                    *("--target", target, "--target-path", str(self.folder / target)),
                ]
            )
        if result.exception is not None:
            raise result.exception
        nodes = result.result.results if result.result is not None else []  # type: ignore[union-attr]
        return [one.node.name for one in nodes if one.status in ("fail", "error")]


@contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(home=folder / "home", bigquery_port=port)
    invented_source.load(settings, folder / "parquet")
    project = copy_of_the_project(folder / "dbt_project", invented_source.DENIED)
    try:
        made = Workshop(settings, project, folder)
        if failed := made.build():
            raise RuntimeError(f"the project without a fault fails: {failed}")
        yield made
    finally:
        emulator.stop(settings)


def main() -> int:
    uncaught = 0
    with TemporaryDirectory() as folder, workshop(Path(folder)) as place:
        print(f"{'fault':50} caught by")
        for fault in FAULTS:
            names = place.caught_by(fault)
            uncaught += not names
            print(f"{fault.name:50} {', '.join(names) or 'NOTHING'}", flush=True)
    print(f"{len(FAULTS) - uncaught} of {len(FAULTS)} faults are caught")
    return min(uncaught, 1)


if __name__ == "__main__":
    sys.exit(main())
