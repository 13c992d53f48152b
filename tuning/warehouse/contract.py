"""Read the interface between dbt and Python, the exposure `tune_python_qa`, from dbt's manifest."""

from dataclasses import dataclass
from typing import Any

import msgspec

from tuning.errors import TuningError
from tuning.records import read_record, without_version
from tuning.settings import Settings
from tuning.storage import remove
from tuning.warehouse.dbt_process import dbt_files, run_dbt
from tuning.warehouse.fingerprint import parse_inputs
from tuning.warehouse.mart_columns import MartColumns
from tuning.warehouse.variables import Variables

EXPOSURE = "tune_python_qa"
_SECTIONS = {"exposures", "nodes"}  # of the manifest


@dataclass(frozen=True)
class Contract:
    """Hold full table names, ``project.dataset.table``, and the columns that may leave the warehouse."""

    mart: str
    preferences: str
    build: str
    columns: tuple[str, ...]
    preference_columns: tuple[str, ...]
    instruction_roles: MartColumns
    preference_roles: MartColumns
    key: str
    template: str


def contract(settings: Settings, variables: Variables) -> Contract:
    """Return the contract for a build with these variables. The build does not have to exist yet.

    Raises TuningError if the dbt project cannot be parsed, if it lacks the exposure, or if the exposure names a model
    or a column that does not exist.
    """
    manifest = _manifest(settings, variables)
    exposure = next((one for one in manifest["exposures"].values() if one["name"] == EXPOSURE), None)
    if exposure is None:
        raise TuningError(f"the dbt project has no exposure {EXPOSURE}", "Add it to list what may be exported")
    meta = exposure["config"]["meta"]
    mart, preferences, build = (_model(manifest, meta[role]) for role in ("mart", "preferences", "build"))
    _check(mart, [*meta["columns"], meta["key"]])
    _check(preferences, meta["preference_columns"])
    return Contract(
        mart=_table(mart),
        preferences=_table(preferences),
        build=_table(build),
        columns=tuple(meta["columns"]),
        preference_columns=tuple(meta["preference_columns"]),
        instruction_roles=_roles(meta, "instruction_roles", mart, meta["columns"]),
        preference_roles=_roles(meta, "preference_roles", preferences, meta["preference_columns"]),
        key=meta["key"],
        template=meta["instruction_template"],
    )


def _manifest(settings: Settings, variables: Variables) -> dict[str, Any]:
    """Return the manifest for these settings and variables. Parse the project again only if it has changed."""
    files = dbt_files(settings, variables)
    if without_version(files.read(files.parsed)) == parse_inputs(settings, variables):
        manifest = files.read(files.manifest)
        if manifest is not None and manifest.keys() >= _SECTIONS:
            return manifest
    remove(files.manifest)
    run_dbt(settings, ["parse"], variables)
    return read_record(files.manifest, dict[str, Any], f"Delete {files.folder} and run the command again")


def _model(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the model, in its latest version if it has versions."""
    for node in manifest["nodes"].values():
        is_latest = node.get("version") == node.get("latest_version")
        if node["resource_type"] == "model" and node["name"] == name and is_latest:
            model: dict[str, Any] = node
            return model
    raise TuningError(f"the exposure {EXPOSURE} names the model {name}, which is not in the dbt project")


def _check(model: dict[str, Any], columns: list[str]) -> None:
    for column in columns:
        if column not in model["columns"]:
            raise TuningError(
                f"the exposure {EXPOSURE} names the column {column}, which {model['name']} does not have",
                f"Add it to {model['patch_path'] or model['path']}, or remove it from the exposure",
            )


def _roles(meta: dict[str, Any], name: str, model: dict[str, Any], exported: list[str]) -> MartColumns:
    roles = msgspec.convert(meta[name], MartColumns)
    roles.check(exported, f"the list of columns of {model['name']} in the exposure {EXPOSURE}")
    return roles


def _table(node: dict[str, Any]) -> str:
    return f"{node['database']}.{node['schema']}.{node['alias']}"
