"""Build the marts with dbt, or skip the build if its inputs have not changed."""

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuning.errors import TuningError
from tuning.records import without_version, write_record
from tuning.settings import Settings
from tuning.storage import remove
from tuning.target import command_in_words
from tuning.warehouse.builds.empty import empty_marts
from tuning.warehouse.builds.outdated import outdated, unbuilt
from tuning.warehouse.client import connect
from tuning.warehouse.contract import Contract, contract
from tuning.warehouse.dbt_process import NodeRun, RunResults, dbt_files, run_dbt
from tuning.warehouse.fingerprint import parse_inputs, source
from tuning.warehouse.variables import Variables, may_want_more

__all__ = [
    "BuildResult",
    "Contract",
    "NodeResult",
    "Variables",
    "build",
    "contract",
    "ensure_built",
    "require_current",
    "run_dbt",
]


@dataclass(frozen=True)
class NodeResult:
    """Describe one built model or seed. `rows` is None for a view. `bytes` is the number of processed bytes."""

    name: str
    status: str
    seconds: float  # in tenths
    rows: int | None
    bytes: int


@dataclass(frozen=True)
class BuildResult:
    """Hold the results of one ``dbt build``."""

    nodes: tuple[NodeResult, ...]
    tests: int
    warnings: tuple[str, ...]  # from tests with severity warn, and one if the source may lack some questions
    test_seconds: float  # of all tests, each in tenths
    test_bytes: int  # processed by all tests
    seconds: float  # from the beginning to the end: dbt works on several nodes at a time


def build(
    settings: Settings, variables: Variables, select: str | None = None, *, unit_tests: bool = True
) -> BuildResult:
    """Run ``dbt build`` for everything, or for a selection in dbt's syntax.

    Unit tests check the project's SQL and do not use the source data, so you can skip them to get only the marts. Data
    tests always run. Raises TuningError if the source is empty, if the selection matches nothing, and for the first
    model or test that fails.
    """
    client = connect(settings)
    posts = source(settings, client)
    made_of = {**parse_inputs(settings, variables), "source": posts}
    what = select or f"all models and {'tests' if unit_tests else 'data tests'}"
    named = posts.get("name") or f"{settings.raw_database}.{settings.raw_schema}"
    print(f"dbt build begins: {what}, from the posts of {named}", file=sys.stderr)
    stamp = _stamp(settings, variables)
    remove(stamp)
    selection = [
        *(("--select", select) if select else ()),
        *(() if unit_tests else ("--exclude-resource-type", "unit_test")),
    ]
    try:
        results = run_dbt(settings, ["build", *selection], variables)
    except TuningError as error:
        if select and (names := unbuilt(settings, variables, client)):
            raise TuningError(
                f"--select {select!r} reads what is not built yet: {', '.join(names)}",
                "Put a + before each name that you select, which adds what it reads, or run `invoke build`",
            ) from None
        # Tests compare the built tables with the source, so they fail where only some of them were built again.
        if select and (old := outdated(settings, variables, client)):
            raise TuningError(str(error), old) from None
        raise
    if results is None:
        raise RuntimeError("dbt build wrote no run_results.json")
    if not results.results:
        raise TuningError(f"--select {select!r} matches nothing", "`dbt ls` in dbt_project/ lists the names")
    if select is None:
        write_record(stamp, {**made_of, "invocation_id": results.metadata.invocation_id})
    old = outdated(settings, variables, client) if select else ""
    result = _result(results, (*((old,) if old else ()), *_narrowed(settings, variables, made_of["source"])))
    empty = empty_marts(settings, variables, client, {node.name: node.rows for node in result.nodes})
    return replace(result, warnings=(*empty, *result.warnings))


def ensure_built(settings: Settings, variables: Variables) -> BuildResult | None:
    """Run `build` without unit tests and return its result, or return None if no build is needed.

    No build is needed if the marts were built and tested from the same project, variables, settings and source. This
    check takes well under a second. Raises TuningError as `build` does.
    """
    client = connect(settings)
    made_of = {**parse_inputs(settings, variables), "source": source(settings, client)}
    return None if _is_built(settings, variables, made_of) else build(settings, variables, unit_tests=False)


def require_current(settings: Settings, variables: Variables) -> None:
    """Raise TuningError with the command that helps if the marts, or tables that they read, are older than the source.

    Data that was loaded again without a change does not count.
    """
    client = connect(settings)
    if old := outdated(settings, variables, client):
        made_of = {**parse_inputs(settings, variables), "source": source(settings, client)}
        if not _is_built(settings, variables, made_of):
            raise TuningError(old)


def _is_built(settings: Settings, variables: Variables, made_of: dict[str, Any]) -> bool:
    """Return whether the marts are up to date.

    The stamp file records the inputs of the last build. The row of the table python_qa_build shows whether another
    build has replaced the tables since.
    """
    from google.cloud.exceptions import NotFound

    built = without_version(dbt_files(settings, variables).read(_stamp(settings, variables))) or {}
    invocation = built.pop("invocation_id", None)
    if built != made_of:
        return False
    agreed, client = contract(settings, variables), connect(settings)
    with contextlib.suppress(NotFound):
        for table in (agreed.mart, agreed.preferences):
            client.get_table(table)
        rows = list(client.list_rows(agreed.build, max_results=2))
        return [row["invocation_id"] for row in rows] == [invocation]
    return False


def _stamp(settings: Settings, variables: Variables) -> Path:
    return dbt_files(settings, variables).folder / "built.json"


def _narrowed(settings: Settings, variables: Variables, origin: dict[str, Any]) -> tuple[str, ...]:
    loaded = str(origin.get("tag_filter") or "")
    if not may_want_more(variables.tag_pattern, loaded):
        return ()
    return (
        f"only questions with a tag containing {loaded!r} were loaded, but the tag pattern {variables.tag_pattern} "
        f"may match other tags: run {command_in_words(settings, 'ingest')} without --tag to load all questions",
    )


def _result(results: RunResults, warnings: tuple[str, ...]) -> BuildResult:
    kinds = [(one.unique_id.split(".")[0], one.unique_id.split(".")[2], one) for one in results.results]
    tests = [one for kind, _, one in kinds if kind in ("test", "unit_test")]
    return BuildResult(
        nodes=tuple(
            NodeResult(
                name=name,
                status=one.status,
                seconds=round(one.execution_time, 1),
                rows=one.adapter_response.rows_affected,
                bytes=_bytes(one),
            )
            for kind, name, one in kinds
            if kind in ("model", "seed")
        ),
        tests=len(tests),
        warnings=warnings + tuple(f"{name}: {one.message}" for _, name, one in kinds if one.status == "warn"),
        test_seconds=sum(round(one.execution_time, 1) for one in tests),
        test_bytes=sum(map(_bytes, tests)),
        seconds=results.elapsed_time,
    )


def _bytes(result: NodeRun) -> int:
    return result.adapter_response.bytes_processed or 0
