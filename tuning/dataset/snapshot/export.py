"""The mart out of the warehouse: an extract job writes Parquet, which becomes a snapshot."""

import datetime
import decimal
import hashlib
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tuning.dataset.options import DatasetOptions
from tuning.dataset.snapshot.columns import check_columns
from tuning.dataset.snapshot.snapshot import FACTS, Kind, Snapshot, open_snapshot, seal_snapshot
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.object_file import ObjectFile
from tuning.gcs.objects import is_folder
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked

if TYPE_CHECKING:
    from google.cloud import bigquery

    from tuning.warehouse.variables import Variables


def export(settings: Settings, variables: "Variables", options: DatasetOptions | None = None) -> Snapshot:
    """The snapshot of the mart that a dataset with these options is made of; one of the same build is only found.

    Columns are checked before anything is exported. Raises TuningError where the mart is not built or empty.
    """
    from tuning.warehouse.client import connect
    from tuning.warehouse.contract import contract

    options = options or DatasetOptions()
    agreed = contract(settings, variables)
    table = agreed.preferences if options.is_preference else agreed.mart
    check_columns(options, agreed.preference_columns if options.is_preference else agreed.columns, "dbt's exposure")
    client = connect(settings)
    with google_errors(f"reading {table}"):
        present = [field.name for field in client.get_table(table).schema]
        build = _build_row(client, agreed.build)
    check_columns(options, present, table)
    folder = _folder(settings, table, build)
    with locked(folder.with_name(f".{folder.name}.lock"), f"the snapshot {folder.name}"):
        if not _is_whole(settings, folder):
            with atomic_folder(folder) as unfinished:
                objects = _extract(settings, client, table, unfinished, folder.name)
                snapshot = seal_snapshot(unfinished, kind_of(options), build, objects)
                if snapshot.rows != build[snapshot.kind]:
                    raise TuningError(
                        f"{table} gave {snapshot.rows} rows, and its build made {build[snapshot.kind]}",
                        "`invoke build` makes it anew",
                    )
    return open_snapshot(folder, settings)


def find_snapshot(settings: Settings, options: DatasetOptions, variables: "Variables | None" = None) -> Snapshot:
    """The newest exported snapshot for these options, of a build with these variables (None: any)."""
    found = []
    for path in settings.home.glob(f"snapshots/[!.]*/{FACTS}"):
        snapshot = open_snapshot(path.parent, settings)
        if is_folder(settings) and not all(isinstance(file, Path) for file in snapshot.files):
            continue  # of target gcp, whose files are out of reach here
        is_of_build = variables is None or orjson.loads(snapshot.build["variables"]) == variables.all()
        if snapshot.kind == kind_of(options) and is_of_build:
            found.append((path.stat().st_mtime_ns, path.parent.name, snapshot))
    if not found:
        raise TuningError("no snapshot for these options was exported", "`invoke dataset` builds, exports and splits")
    return max(found, key=lambda one: one[:2])[2]


def kind_of(options: DatasetOptions) -> Kind:
    return "preferences" if options.is_preference else "instructions"


def _build_row(client: "bigquery.Client", table: str) -> dict[str, Any]:
    rows = list(client.list_rows(table, max_results=2))
    if len(rows) != 1:
        raise TuningError(f"{table} has {len(rows)} rows where it should have one", "`invoke build` makes it anew")
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
    """Another build of the same table has another folder: its row says when it ran."""
    digest = hashlib.sha256(orjson.dumps([table, build], option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
    return settings.home / "snapshots" / f"{re.sub(r'[^A-Za-z0-9_]+', '.', table)}-{digest}"


def _is_whole(settings: Settings, folder: Path) -> bool:
    """Whether the snapshot is finished and all its files are there: a bucket's rules delete staged ones in time."""
    if not (folder / FACTS).exists():
        return False
    return all(file.exists() for file in open_snapshot(folder, settings).files)


def _extract(settings: Settings, client: "bigquery.Client", table: str, folder: Path, name: str) -> list[ObjectFile]:
    """The table's files in `folder`, or, in Cloud Storage, left where the extract job wrote them and returned."""
    from tuning.warehouse.load import extract_parquet

    files = extract_parquet(settings, client, table, f"gs://{settings.bucket}/snapshots/{name}/{uuid.uuid4().hex[:12]}")
    for number, path in enumerate(sorted(file for file in files if isinstance(file, Path))):
        shutil.move(path, folder / f"part-{number:05d}.parquet")
    if not files:
        raise TuningError(f"{table} has no rows to export", "Build with another --tag-pattern or --since")
    return [file for file in files if isinstance(file, ObjectFile)]
