"""Export the mart from the warehouse: an extract job writes Parquet files, which become a snapshot."""

import datetime
import decimal
import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tuning.dataset.options import DatasetOptions
from tuning.dataset.snapshot.snapshot import FACTS, Kind, Snapshot, open_snapshot, seal_snapshot
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.object_file import ObjectFile, objects_in
from tuning.gcs.storage import find_storage
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked
from tuning.target import find_target

if TYPE_CHECKING:
    from google.cloud import bigquery

    from tuning.warehouse.variables import Variables


def export(settings: Settings, variables: "Variables", options: DatasetOptions | None = None) -> Snapshot:
    """Return the snapshot of the mart for these options. Export the mart unless this build is already exported.

    The columns are checked before the export. Raises TuningError if the mart is not built, is empty, lacks a column, or
    has another number of rows than its build recorded.
    """
    from google.api_core.exceptions import NotFound

    from tuning.warehouse.client import connect
    from tuning.warehouse.contract import contract

    options = options or DatasetOptions()
    client = connect(settings)
    agreed = contract(settings, variables)
    table = agreed.preferences if options.is_preference else agreed.mart
    roles = agreed.preference_roles if options.is_preference else agreed.instruction_roles
    with google_errors(f"reading {table}"):
        try:
            present = [field.name for field in client.get_table(table).schema]
            build = _build_row(client, agreed.build)
        except NotFound:
            raise TuningError(
                f"{table} is not built", "Run `invoke build` first, or `invoke dataset` instead"
            ) from None
    roles.check(present, table)
    folder = _folder(settings, table, build)
    with locked(folder.with_name(f".{folder.name}.lock"), f"the snapshot {folder.name}"):
        if not _is_whole(settings, folder):
            with atomic_folder(folder) as unfinished:
                objects = _extract(settings, client, table, unfinished, folder.name)
                snapshot = seal_snapshot(unfinished, kind_of(options), build, roles, objects)
                if snapshot.rows != build[snapshot.kind]:
                    raise TuningError(
                        f"{table} has {snapshot.rows} rows, but its build recorded {build[snapshot.kind]}",
                        "Run `invoke build` to build it again",
                    )
    os.utime(folder)  # the time of its last use
    return open_snapshot(folder, settings)


def find_snapshot(settings: Settings, options: DatasetOptions, variables: "Variables | None" = None) -> Snapshot:
    """Return the newest exported snapshot for these options, of a build with these variables (None: of any build).

    Raises TuningError if there is no such snapshot.
    """
    candidates = []
    for snapshot in snapshots(settings):
        is_of_build = variables is None or orjson.loads(snapshot.build["variables"]) == variables.all()
        if snapshot.kind == kind_of(options) and is_of_build:
            candidates.append(((snapshot.folder / FACTS).stat().st_mtime_ns, snapshot.folder.name, snapshot))
    if not candidates:
        raise TuningError(
            "no snapshot matches these options", "Run `invoke dataset` to build, export, and split in one step"
        )
    return max(candidates, key=lambda one: one[:2])[2]


def snapshots(settings: Settings) -> Iterator[Snapshot]:
    """Yield the finished snapshots. On target local, skip those with files in Cloud Storage.

    Raises TuningError if one is damaged.
    """
    for path in sorted(settings.home.glob(f"snapshots/[!.]*/{FACTS}")):
        snapshot = open_snapshot(path.parent, settings)
        if find_target(settings).has_bucket or not objects_in(snapshot.files):
            yield snapshot


def kind_of(options: DatasetOptions) -> Kind:
    """Return which mart a dataset with these options is created from, or "own" for own data."""
    if options.is_own:
        return "own"
    return "preferences" if options.is_preference else "instructions"


def _build_row(client: "bigquery.Client", table: str) -> dict[str, Any]:
    rows = list(client.list_rows(table, max_results=2))
    if len(rows) != 1:
        raise TuningError(
            f"{table} has {'more than one row' if rows else 'no row'} instead of one",
            "Run `invoke build` to build it again",
        )
    return {name: _plain(value) for name, value in rows[0].items()}


def _plain(value: object) -> object:
    match value:
        case datetime.datetime():
            return value.astimezone(datetime.UTC).isoformat()
        case datetime.date():
            return value.isoformat()
        case decimal.Decimal():
            return str(value)
        case _:
            return value


def _folder(settings: Settings, table: str, build: dict[str, Any]) -> Path:
    """Return the snapshot's folder. Its name contains a hash of the build's row, so each build has its own folder."""
    digest = hashlib.sha256(orjson.dumps([table, build], option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
    return settings.home / "snapshots" / f"{re.sub(r'[^A-Za-z0-9_]+', '.', table)}-{digest}"


def _is_whole(settings: Settings, folder: Path) -> bool:
    """Return whether the snapshot is finished and all its files exist. A bucket's lifecycle rules delete old files."""
    if not (folder / FACTS).exists():
        return False
    return all(file.exists() for file in open_snapshot(folder, settings).files)


def _extract(settings: Settings, client: "bigquery.Client", table: str, folder: Path, name: str) -> list[ObjectFile]:
    """Export the table. Move local files to `folder`, and return the files that are in Cloud Storage."""
    from tuning.warehouse.load import extract_parquet

    files = extract_parquet(settings, client, table, f"gs://{settings.bucket}/snapshots/{name}/{uuid.uuid4().hex[:12]}")
    if not files:
        raise TuningError(f"{table} has no rows to export", "Run `invoke build` with another --tag-pattern or --since")
    return find_storage(settings).settle(files, folder)
