"""What dbt promises to Python: the exposure `tune_python_qa`, read from dbt's manifest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.warehouse.dbt_process import dbt_files, run_dbt
from tuning.warehouse.fingerprint import parse_inputs
from tuning.warehouse.variables import Variables

EXPOSURE = "tune_python_qa"


@dataclass(frozen=True)
class Contract:
    """Tables by their full names ``project.dataset.table``, and the columns that leave the warehouse."""

    mart: str
    preferences: str
    build: str
    columns: tuple[str, ...]
    preference_columns: tuple[str, ...]
    key: str
    template: str


def contract(settings: Settings, variables: Variables) -> Contract:
    """The contract of the build with these variables, whether or not it was built yet.

    Raises TuningError where the exposure is gone or names a column that its model does not have.
    """
    manifest = orjson.loads(_manifest(settings, variables).read_bytes())
    exposure = next((one for one in manifest["exposures"].values() if one["name"] == EXPOSURE), None)
    if exposure is None:
        raise TuningError(f"the dbt project has no exposure {EXPOSURE}", "It says what may leave the warehouse")
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
        key=meta["key"],
        template=meta["instruction_template"],
    )


def _manifest(settings: Settings, variables: Variables) -> Path:
    """The manifest of these settings and variables, parsed again only where the project has changed."""
    files = dbt_files(settings, variables)
    parsed = orjson.loads(files.parsed.read_bytes()) if files.parsed.exists() else None
    if parsed != parse_inputs(settings, variables) or not files.manifest.exists():
        run_dbt(settings, ["parse"], variables)
    return files.manifest


def _model(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["name"] == name:
            found: dict[str, Any] = node
            return found
    raise TuningError(f"the exposure {EXPOSURE} names the model {name}, which is not in the dbt project")


def _check(model: dict[str, Any], columns: list[str]) -> None:
    for column in columns:
        if column not in model["columns"]:
            raise TuningError(
                f"the exposure {EXPOSURE} names the column {column}, which {model['name']} does not have",
                f"Add it to {model['patch_path'] or model['path']}, or take it out of the exposure",
            )


def _table(node: dict[str, Any]) -> str:
    return f"{node['database']}.{node['schema']}.{node['alias']}"
