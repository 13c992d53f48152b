"""Find the tables that a build with --select leaves: older than newly loaded data, or not built at all."""

import contextlib
import datetime
from typing import TYPE_CHECKING, Any

from tuning.settings import Settings
from tuning.warehouse.contract import EXPOSURE
from tuning.warehouse.dbt_process import dbt_files
from tuning.warehouse.fingerprint import source_tables
from tuning.warehouse.variables import Variables

if TYPE_CHECKING:
    from google.cloud import bigquery


def outdated(settings: Settings, variables: Variables, client: "bigquery.Client") -> str:
    """Return what is wrong and what helps if a table that the export reads, or its inputs, is older than the source.

    Else return ''. The names of the tables come from dbt's last manifest. Missing tables do not count.
    """
    manifest = dbt_files(settings, variables).read(dbt_files(settings, variables).manifest)
    loaded = max(filter(None, (_changed(client, table) for table in source_tables(settings))), default=None)
    if manifest is None or loaded is None:
        return ""
    old = []
    for node in _upstream(manifest):
        built = _changed(client, _table(node))
        if built is not None and built < loaded:
            old.append(node["name"])
    if not old:
        return ""
    return (
        f"{', '.join(sorted(old))} {'is' if len(old) == 1 else 'are'} older than the loaded data: run `invoke build` "
        "with the same options and without --select"
    )


def unbuilt(settings: Settings, variables: Variables, client: "bigquery.Client") -> list[str]:
    """Return the sorted names of missing models and seeds that the nodes of dbt's last command read."""
    files = dbt_files(settings, variables)
    manifest, results = files.read(files.manifest), files.read(files.run_results)
    if manifest is None or results is None:
        return []
    ran = {result["unique_id"] for result in results["results"]}
    read = {parent for one in ran for parent in manifest["parent_map"].get(one, ())} - ran
    nodes = [manifest["nodes"][key] for key in read if key in manifest["nodes"]]  # sources are not among the nodes
    return sorted(node["name"] for node in nodes if _changed(client, _table(node)) is None)


def _upstream(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the models that the exposure of the export names and all that these read, without views."""
    found: dict[str, dict[str, Any]] = {}
    exported = [exposure for exposure in manifest["exposures"].values() if exposure["name"] == EXPOSURE]
    waiting = [key for exposure in exported for key in exposure["depends_on"]["nodes"]]
    while waiting:
        key = waiting.pop()
        node = manifest["nodes"].get(key)
        if node is not None and node["resource_type"] == "model" and key not in found:
            found[key] = node
            waiting += node["depends_on"]["nodes"]
    return [node for node in found.values() if node["config"]["materialized"] != "view"]


def _table(node: dict[str, Any]) -> str:
    return f"{node['database']}.{node['schema']}.{node['alias']}"


def _changed(client: "bigquery.Client", table: str) -> datetime.datetime | None:
    from google.cloud.exceptions import NotFound

    with contextlib.suppress(NotFound):
        changed: datetime.datetime | None = client.get_table(table).modified
        return changed
    return None
