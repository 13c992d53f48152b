"""Say why a mart of a build has no rows."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tuning.settings import Settings
from tuning.warehouse.contract import contract
from tuning.warehouse.variables import Variables

if TYPE_CHECKING:
    from google.cloud import bigquery

_FUNNEL = "dataset_funnel"


def empty_marts(
    settings: Settings, variables: Variables, client: "bigquery.Client", rows: Mapping[str, int | None]
) -> Iterator[str]:
    """Yield a warning for each exported mart without rows, with the first rule of the funnel that no row meets.

    `rows` has the number of rows of each model of the build. A funnel that this build does not contain says nothing.
    """
    agreed = contract(settings, variables)
    for table in (agreed.mart, agreed.preferences):
        project, dataset, mart = table.split(".")
        if rows.get(mart) != 0:
            continue
        steps = list(client.list_rows(f"{project}.{dataset}.{_FUNNEL}")) if _FUNNEL in rows else []
        newest = max((step["build"] for step in steps), default=0)
        failed = [step for step in steps if (step["build"], step["mart"], step["rows_out"]) == (newest, mart, 0)]
        if not failed:
            yield f"{mart} has 0 rows; build {_FUNNEL} too to see why"
            continue
        rule = min(failed, key=lambda step: int(step["step"]))
        decided = f" ({rule['variable']}: {rule['value']})" if rule["variable"] else ""
        yield f"{mart} has 0 rows: of {rule['rows_in']:,}, none meets the rule {rule['rule']}{decided}"
