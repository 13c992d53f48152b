"""Open a dataset, a mart or the metrics of runs as a pandas DataFrame, for example in a notebook.

Each function loads all rows that it returns into memory. `columns` and `limit` make it fewer. Without `settings`, the
functions read the environment, as the commands do.

IDs, scores and counts are `int64` (`Int64` if some are missing), times are `datetime64[us, UTC]`, texts are `str`, and
tags are lists.
"""

import datetime
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from tuning.dataset.dataset import Attribution, Dataset, Split, find_dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS
from tuning.errors import TuningError
from tuning.evaluation.records import Interval
from tuning.monitoring.history import runs
from tuning.registry.records import Version
from tuning.registry.registry import versions
from tuning.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

_TIME = pa.timestamp("us", tz="UTC")
_TEXTS = ("prompt", "answer", "rejected")
_RUN = {
    "run_id": pa.string(),
    "status": pa.string(),
    "started_at": _TIME,
    "seconds": pa.float64(),
    "pipeline": pa.string(),
    "dataset_id": pa.string(),
    "version": pa.string(),
    "verdict": pa.string(),
    "promoted": pa.bool_(),
}


def open_dataset(
    dataset_id: str | None = None,
    *,
    split: Split | None = None,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    settings: Settings | None = None,
) -> "pd.DataFrame":
    """Return the examples of a dataset with their attribution: the training rows, then the evaluation rows.

    The columns `prompt`, `answer` and, in preference formats, `rejected` are the texts as a model gets them. The other
    columns are the fields of `attribution.jsonl`. All rows are loaded into memory: `columns` and `limit` (the first
    rows) make it fewer. Without `dataset_id`, the newest dataset is opened.

    Raises TuningError if there is no such dataset or column, or if `limit` is less than 1.
    """
    dataset = find_dataset(settings or load_settings(), dataset_id)
    schema = _dataset_schema(dataset)
    names = _chosen(list(schema), columns)
    rows = islice(_examples(dataset, split, any(name in _TEXTS for name in names)), _checked(limit))
    values: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        for name in names:
            value = row[name]
            values[name].append(_time(value) if schema[name] == _TIME else value)
    return _frame(pa.table({name: pa.array(values[name], schema[name]) for name in names}))


def open_mart(
    name: str = "python_qa_instructions",
    *,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    settings: Settings | None = None,
) -> "pd.DataFrame":
    """Return the rows of a mart in the warehouse: `NAME`, or `DATASET.NAME` for a build with other variables.

    No query runs, so nothing is billed. All rows are loaded into memory: `columns` and `limit` make it fewer. The order
    of the rows is not defined.

    Raises TuningError if the table or a column does not exist, if the table is a view, or if `limit` is less than 1.
    """
    from tuning.gcs.access import google_errors
    from tuning.warehouse.client import connect
    from tuning.warehouse.explore import find_table, full_name

    settings = settings or load_settings()
    client = connect(settings)
    full = full_name(settings, name if "." in name else f"{settings.bigquery_dataset}.{name}")
    table = find_table(client, full, "Run `invoke build` to build the marts")
    fields = {field.name: field for field in table.schema}
    chosen = [fields[one] for one in _chosen(list(fields), columns)]
    with google_errors(f"reading {name}"):
        rows = client.list_rows(table, selected_fields=chosen, max_results=_checked(limit))
        return _frame(rows.to_arrow(create_bqstorage_client=False))


def open_metrics(
    *, columns: Sequence[str] | None = None, limit: int | None = None, settings: Settings | None = None
) -> "pd.DataFrame":
    """Return one row per run, the oldest first: when it ran, its dataset and version, its verdict, and the metrics.

    The first part of a metric's name says what it was measured on:

    - `heldout_…`: held-out examples of the dataset. `heldout_loss` is of all that were scored (36 by default), and the
      metrics of answers, such as `heldout_loop`, are of the few that were answered (5 by default). They are means of
      the tuned model. `heldout_improvement_base` is the paired change from the base in the gate's metric (the loss;
      for managed models, chrF), with the sign turned for the loss: positive if the tuned model is better.
    - `suite_…`: the 96 how-to questions. `suite_executed_tuned` and `suite_executed_base` are the shares of questions
      that each model solves in per cent, and `suite_executed_change_base` is tuned minus base in points.

    Improvements and changes have their 95% intervals in `…_low` and `…_high`. With a champion, there are the same
    columns with `champion` in place of `base`. A value that a run does not have is missing. `limit` is the number of
    newest runs.

    Raises TuningError if there is no such column, if `limit` is less than 1, or if the registry is damaged.
    """
    settings = settings or load_settings()
    number = _checked(limit)
    by_name = {version.name: version for version in versions(settings)}
    rows = [
        {
            **{name: getattr(run, "id" if name == "run_id" else name) for name in _RUN},
            "started_at": _time(run.started_at),
            **(_metrics(by_name[run.version]) if run.version in by_name else {}),
        }
        for run in runs(settings, number)
    ]
    present = list(dict.fromkeys([*_RUN, *(name for row in rows for name in row)]))
    names = _chosen(present, columns)
    return _frame(
        pa.table({name: pa.array([row.get(name) for row in rows], _RUN.get(name, pa.float64())) for name in names})
    )


def _dataset_schema(dataset: Dataset) -> dict[str, pa.DataType]:
    """Return the columns of a dataset's frame with their types. Only preference formats have a rejected answer."""
    types = {int: pa.int64(), list[str]: pa.list_(pa.string())}
    fields = {
        field.name: _TIME if field.name.endswith("_created_at") else types.get(field.type, pa.string())
        for field in msgspec.structs.fields(Attribution)
    }
    schema = {**dict.fromkeys(_TEXTS, pa.string()), **fields}
    is_preference = dataset.manifest.format in PREFERENCE_FORMATS
    return {name: kind for name, kind in schema.items() if is_preference or not name.startswith("rejected")}


def _examples(dataset: Dataset, split: Split | None, with_texts: bool) -> Iterator[dict[str, Any]]:
    splits: tuple[Split, ...] = (split,) if split else ("train", "eval")
    for name in splits:
        if not with_texts:
            yield from map(msgspec.structs.asdict, dataset.attributions(name))
            continue
        for record, example in dataset.pairs(name):
            row = msgspec.structs.asdict(record)
            row["prompt"] = "\n\n".join(message.content for message in example.prompt)
            row["answer"], row["rejected"] = example.answer, example.rejected
            yield row


def _metrics(version: Version) -> dict[str, float]:
    found = {f"heldout_{name}": value for name, value in version.metrics.items()}
    for opponent, interval in version.verdict.improvements.items():
        found |= _columns(f"heldout_improvement_{opponent}", interval)
    for judgement in version.verdict.judgements:
        if executed := judgement.executed:
            shares = {role: 100 * solved / executed.examples for role, solved in judgement.solved.items()}
            found |= {f"suite_executed_{role}": share for role, share in shares.items()}
            found |= _columns(f"suite_executed_change_{judgement.opponent}", executed)
    return found


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _chosen(present: Sequence[str], columns: Sequence[str] | None) -> Sequence[str]:
    unknown = [name for name in columns or () if name not in present]
    if unknown:
        raise TuningError(f"there is no column {unknown[0]!r}", f"Choose from: {', '.join(present)}")
    return present if columns is None else columns


def _checked(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise TuningError(f"limit cannot be {limit}", "Use a number of rows of at least 1, or None for all")
    return limit


def _time(text: str) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC) if text else None


def _frame(table: pa.Table) -> "pd.DataFrame":
    """Return the table as a DataFrame. A column of whole numbers or truth values is nullable only if one is missing."""
    import pandas as pd

    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    plain = {pa.int64(): "int64", pa.bool_(): "bool"}
    frame = frame.astype(
        {
            field.name: plain[field.type]
            for field in table.schema
            if field.type in plain and not table[field.name].null_count
        }
    )
    for field in table.schema:
        if pa.types.is_list(field.type):
            frame[field.name] = pd.Series(table[field.name].to_pylist(), index=frame.index, dtype=object)
    return frame
