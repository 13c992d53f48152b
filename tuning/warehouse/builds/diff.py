"""Compare the marts of two builds in BigQuery. A build is a BigQuery dataset that dbt has written."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.settings import Settings, variable
from tuning.warehouse.client import connect, query, quoted
from tuning.warehouse.contract import contract
from tuning.warehouse.variables import Variables

if TYPE_CHECKING:
    from google.cloud import bigquery

_EXAMPLES = 5  # keys to show of the added, removed and changed rows of a mart


@dataclass(frozen=True)
class Build:
    """Describe a build by its BigQuery dataset and its row of python_qa_build, which is empty if there is no row."""

    dataset: str
    record: dict[str, Any]

    @property
    def variables(self) -> dict[str, Any]:
        """Return the variables of the build."""
        variables: dict[str, Any] = orjson.loads(self.record.get("variables", "{}"))
        return variables


@dataclass(frozen=True)
class MartDiff:
    """Hold the differences of one mart. `missing_from` names the datasets without the mart; then nothing was counted.

    `columns` has the number of changed rows for each common column. `examples` has up to five keys per kind of
    difference: added, removed and changed.
    """

    mart: str
    missing_from: tuple[str, ...] = ()
    rows: tuple[int, int] = (0, 0)
    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: tuple[tuple[str, int], ...] = ()
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    examples: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class BuildDiff:
    """Hold the differences of two builds."""

    before: Build
    after: Build
    marts: tuple[MartDiff, ...]


def diff_builds(settings: Settings, variables: Variables, before: str = "", after: str = "") -> BuildDiff:
    """Compare the exported marts of the BigQuery datasets `before` and `after` by key.

    The default of `before` is the dataset of the default variables, and that of `after` is the dataset of `variables`.
    Raises TuningError if both are the same, if one does not exist, or if a key is not unique.
    """
    client = connect(settings)
    agreed = contract(settings, variables)
    # What builds them: only the default of `after` follows from the options of the command.
    makes = [
        f"`{variable('bigquery_dataset')}={before} invoke build`" if before else "`invoke build`",
        f"`{variable('bigquery_dataset')}={after} invoke build`" if after else "`invoke build` with the same options",
    ]
    after = after or agreed.mart.split(".")[1]
    before = before or contract(settings, Variables()).mart.split(".")[1]
    if before == after:
        raise TuningError(
            f"before and after are both the build in the BigQuery dataset {after}",
            "Name two datasets with --before and --after, or give the variables of the other build, such as --since",
        )
    table = agreed.build.split(".")[2]
    builds = [
        _build(client, settings.project, dataset, table, make)
        for dataset, make in zip((before, after), makes, strict=True)
    ]
    names = [table.split(".")[2] for table in (agreed.mart, agreed.preferences)]
    with google_errors("comparing the builds"):
        marts = tuple(_diff(client, settings.project, name, agreed.key, before, after) for name in names)
    return BuildDiff(builds[0], builds[1], marts)


def _build(client: "bigquery.Client", project: str, dataset: str, table: str, make: str) -> Build:
    from google.cloud.exceptions import NotFound

    if not re.fullmatch(r"[A-Za-z0-9_]+", dataset):
        raise TuningError(f"{dataset!r} is not the name of a BigQuery dataset", "Use letters, digits and _")
    with google_errors(f"reading {dataset}"):
        try:
            client.get_dataset(f"{project}.{dataset}")
        except NotFound:
            raise TuningError(
                f"there is no BigQuery dataset {dataset} in {project}",
                f"Build it first: {make}",
            ) from None
        try:
            rows = list(client.list_rows(f"{project}.{dataset}.{table}", max_results=1))
        except NotFound:
            rows = []
    return Build(dataset, dict(rows[0].items()) if rows else {})


def _diff(client: "bigquery.Client", project: str, mart: str, key: str, before: str, after: str) -> MartDiff:
    from google.cloud.exceptions import NotFound

    schemas, missing = [], []
    for dataset in (before, after):
        try:
            fields = client.get_table(f"{project}.{dataset}.{mart}").schema
        except NotFound:
            missing.append(dataset)
            continue
        schemas.append({field.name: field for field in fields})
    if missing:
        return MartDiff(mart, tuple(missing))
    common = [name for name in schemas[0] if name in schemas[1] and name != key]
    differs = {name: _differs(name, schemas[0][name], schemas[1][name]) for name in common}
    earlier, later = (quoted(f"{project}.{dataset}.{mart}") for dataset in (before, after))
    joined = f"{earlier} as earlier full outer join {later} as later on earlier.`{key}` = later.`{key}`"
    any_differs = " or ".join(differs.values()) or "false"
    is_both = f"earlier.`{key}` is not null and later.`{key}` is not null"
    counts = [
        *(f"count({side}.`{key}`)" for side in ("earlier", "later")),
        *(f"count(distinct {side}.`{key}`)" for side in ("earlier", "later")),
        f"countif(earlier.`{key}` is null)",
        f"countif(later.`{key}` is null)",
        f"countif({is_both} and ({any_differs}))",
        *(f"countif({is_both} and {condition})" for condition in differs.values()),
    ]
    named = ", ".join(f"{count} as n{number}" for number, count in enumerate(counts))
    (row,) = query(client, f"select {named} from {joined}")  # noqa: S608 - quoted names only
    old, new, old_keys, new_keys, added, removed, changed, *per_column = row.values()  # type: ignore[no-untyped-call]
    for dataset, rows, keys in ((before, old, old_keys), (after, new, new_keys)):
        if rows != keys:
            raise TuningError(
                f"{key} is not unique in {dataset}.{mart}", "Run `dbt test` for that build: its primary key test fails"
            )
    kind = (
        f"case when earlier.`{key}` is null then 'added' when later.`{key}` is null then 'removed' else 'changed' end"
    )
    differing = f"earlier.`{key}` is null or later.`{key}` is null or {any_differs}"
    return MartDiff(
        mart,
        rows=(old, new),
        added=added,
        removed=removed,
        changed=changed,
        columns=tuple(zip(common, per_column, strict=True)),
        only_before=tuple(name for name in schemas[0] if name not in schemas[1]),
        only_after=tuple(name for name in schemas[1] if name not in schemas[0]),
        examples=_examples(
            client,
            f"select {kind} as kind, coalesce(earlier.`{key}`, later.`{key}`) as key from {joined} where {differing}",  # noqa: S608
        )
        if added or removed or changed
        else (),
    )


def _differs(name: str, old: "bigquery.SchemaField", new: "bigquery.SchemaField") -> str:
    """Return the condition that a column's values differ. BigQuery cannot compare arrays and values of two types."""
    if old.field_type == new.field_type and "REPEATED" not in (old.mode, new.mode) and old.field_type != "RECORD":
        return f"earlier.`{name}` is distinct from later.`{name}`"
    return f"to_json_string(earlier.`{name}`) != to_json_string(later.`{name}`)"


def _examples(client: "bigquery.Client", differing: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for row in query(
        client,
        f"with differing as ({differing}) select kind, cast(key as string) as key from differing where true "  # noqa: S608
        f"qualify row_number() over (partition by kind order by key) <= {_EXAMPLES} order by kind, key",
    ):
        found.setdefault(row.kind, []).append(row.key)
    return tuple((kind, tuple(keys)) for kind, keys in found.items())
