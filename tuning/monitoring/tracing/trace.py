"""Find every mart, snapshot, dataset, run and model version that holds a post or a near copy of it."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.dataset.dataset import Dataset, dataset_folders, is_out_of_reach, open_dataset
from tuning.dataset.denied import POST_IDS, host_of, id_columns
from tuning.dataset.snapshot.export import snapshots
from tuning.dataset.snapshot.snapshot import Snapshot, read_batches
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.storage import find_storage
from tuning.monitoring.history import run_file, runs
from tuning.monitoring.tracing.near import (
    Copy,
    Text,
    copies_in_dataset,
    copies_in_snapshot,
    example_texts,
    row_texts,
)
from tuning.monitoring.tracing.post import Post
from tuning.registry import registry
from tuning.registry.forgotten import with_continued
from tuning.registry.model_folder import DAMAGED, TRAINED_ON
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.target import find_target
from tuning.warehouse.mart_columns import MartColumns

if TYPE_CHECKING:
    from google.cloud import bigquery

_SHOWN = 20  # near copies of each dataset and snapshot
_ROWS_READ = 1 << 16


@dataclass
class Trace:
    """Hold where a post is. `lines` has one line for each place, `unsearched` one for what could not be searched."""

    post: Post
    lines: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    unsearched: list[str] = field(default_factory=list)
    datasets: dict[str, str] = field(default_factory=dict)  # of each dataset with the post, by ID: its address
    copied: set[str] = field(default_factory=set)  # IDs of the datasets with a near copy, but not the post
    runs: list[str] = field(default_factory=list)  # IDs of the runs on one of `datasets`
    versions: list[str] = field(default_factory=list)  # that were tuned on the post
    champion: str = ""  # the champion, if it was tuned on the post

    def in_lines(self) -> list[str]:
        """Return all that was found, and what was searched, as lines for a terminal."""
        return [
            f"{self.post}: {'found in these places' if self.lines else 'found nowhere'}",
            *self.lines,
            f"searched: {', '.join(self.searched)}",
            *(f"not searched: {line}" for line in self.unsearched),
        ]

    @contextmanager
    def searching(self, what: str) -> Iterator[None]:
        """Turn a TuningError of the block into a line that says that `what` was not searched."""
        try:
            yield
        except TuningError as error:
            self.unsearched.append(f"{what}: {error}")


def trace(settings: Settings, post: Post) -> Trace:
    """Search all that the home, its warehouse and its bucket have. What cannot be searched is named, not an error."""
    found, texts = Trace(post), list[Text]()
    exported = _open_snapshots(settings, found)
    made = _open_datasets(settings, found)
    read_mart = _search_marts(settings, found)
    for snapshot in exported:
        with found.searching(f"snapshot {snapshot.folder}"):
            texts += _search_snapshot(snapshot, found)
    for dataset in made:
        with found.searching(f"dataset {dataset.id}"):
            texts += _search_dataset(dataset, found)
    _search_copies(found, list(dict.fromkeys(texts or read_mart())), exported, made)
    _search_models(settings, found, {dataset.id for dataset in made})
    return found


def _open_snapshots(settings: Settings, found: Trace) -> list[Snapshot]:
    opened: list[Snapshot] = []
    with found.searching("snapshots"):
        opened += snapshots(settings)
    found.searched.append(_count(len(opened), "snapshot"))
    return [one for one in opened if _is_site(found.post, str(one.build["base_url"]))]


def _open_datasets(settings: Settings, found: Trace) -> list[Dataset]:
    opened = []
    for folder in dataset_folders(settings):
        with found.searching(f"dataset {folder.name}"):
            if is_out_of_reach(settings, folder):
                raise TuningError("its files are in Cloud Storage", "Add --target gcp")
            opened.append(open_dataset(folder, settings))
    found.searched.append(_count(len(opened), "dataset"))
    return opened


def _search_marts(settings: Settings, found: Trace) -> Callable[[], list[Text]]:
    """Add the rows of the marts that hold the post. Return a function that reads the post's texts from one of them."""
    from tuning.warehouse.client import connect, find_warehouse
    from tuning.warehouse.contract import contract
    from tuning.warehouse.dbt import Variables

    if find_warehouse(settings).is_new():
        found.unsearched.append("marts: this home has no warehouse")
        return list
    searched, holding = 0, list[tuple[str, MartColumns]]()
    with found.searching("marts"), google_errors("reading the marts"):
        client = connect(settings)
        agreed = contract(settings, Variables())
        marts = ((agreed.mart, agreed.instruction_roles), (agreed.preferences, agreed.preference_roles))
        for dataset, (table, roles) in itertools.product(_builds(settings, client), marts):
            name = f"{settings.project}.{dataset}.{table.rpartition('.')[2]}"
            columns = ["example_id", "question_url"]
            rows = _mart_rows(client, name, roles, found.post, [roles.attribution[one] for one in columns])
            searched += rows is not None
            found.lines += [f"mart {name}: {_row(row, roles)}" for row in rows or ()]
            holding += [(name, roles)] if rows else []

    def read() -> list[Text]:
        for name, roles in holding:
            with found.searching(f"texts of {name}"), google_errors(f"reading {name}"):
                address, names = roles.attribution["question_url"], [*roles.attribution.values(), *roles.texts]
                for row in _mart_rows(client, name, roles, found.post, names) or ():
                    return _own(row_texts(roles, [row], str(row[address])), found.post)
        return []

    found.searched.append(_count(searched, "mart"))
    return read


def _builds(settings: Settings, client: "bigquery.Client") -> list[str]:
    """Return the BigQuery datasets of the builds: that of the default variables, and those of other ones."""
    names = [one.dataset_id for one in client.list_datasets(settings.project)]
    base = settings.bigquery_dataset
    return sorted(name for name in names if name == base or name.startswith(f"{base}_"))


def _mart_rows(
    client: "bigquery.Client", table: str, roles: MartColumns, post: Post, columns: Sequence[str]
) -> list[dict[str, Any]] | None:
    """Return the rows of a mart that hold the post, or None if the mart is not built.

    The rows have the given columns, the ids and the reason to leave a row out. BigQuery bills no other column.
    """
    from google.api_core.exceptions import NotFound
    from google.cloud import bigquery

    from tuning.warehouse.client import query, quoted

    try:
        present = {one.name for one in client.get_table(table).schema}
    except NotFound:
        return None
    names = dict.fromkeys([*columns, *id_columns(roles), *([roles.quality] if roles.quality else [])])
    wanted = " or ".join(f"{name} = @post" for name in id_columns(roles))
    chosen = ", ".join(name for name in names if name in present)
    sql = f"select {chosen} from {quoted(table)} where {wanted}"  # noqa: S608 - names of our own columns
    rows = query(client, sql, [bigquery.ScalarQueryParameter("post", "INT64", post.id)])
    found = [dict(row.items()) for row in rows]
    return [row for row in found if _is_site(post, str(row[roles.attribution["question_url"]]))]


def _search_snapshot(snapshot: Snapshot, found: Trace) -> list[Text]:
    """Add the rows of a snapshot that hold the post, and return its texts."""
    roles, texts, start = snapshot.roles, list[Text](), 0
    quality = [roles.quality] if roles.quality else []
    ids = id_columns(roles)
    holding: list[int] = []
    for batch in read_batches(snapshot.files, ids, _ROWS_READ):
        held = np.zeros(batch.num_rows, dtype=np.bool_)
        for column in batch.columns:
            held |= np.from_dlpack(column) == found.post.id
        holding += (np.flatnonzero(held) + start).tolist()
        start += batch.num_rows
    if not holding:
        return texts
    start = 0
    names = sorted({roles.attribution["example_id"], *ids, *roles.texts, *quality})
    for batch in read_batches(snapshot.files, names):
        for at in (one - start for one in holding if start <= one < start + batch.num_rows):
            row = batch.slice(at, 1).to_pylist()[0]
            found.lines.append(f"snapshot {snapshot.folder.name}: {_row(row, roles)}, {snapshot.folder}")
            texts += _own(row_texts(roles, [row], str(snapshot.build["base_url"])), found.post)
        start += batch.num_rows
    return texts


def _search_dataset(dataset: Dataset, found: Trace) -> list[Text]:
    """Add the examples of a dataset that hold the post, and return its texts."""
    texts: list[Text] = []
    for split in ("train", "eval"):
        lines = {
            about.line: about
            for about in dataset.attributions(split)
            if found.post.id in [getattr(about, name) for name in POST_IDS] and _is_site(found.post, about.question_url)
        }
        for about in lines.values():
            where = dataset.source(f"{split}.jsonl")
            found.lines.append(f"dataset {dataset.id}: {split}, line {about.line + 1}, {about.example_id}, {where}")
        if lines:
            found.datasets[dataset.id] = dataset.address
            wanted = [pair for pair in dataset.pairs(split) if pair[0].line in lines]
            texts += _own(example_texts(dataset, wanted), found.post)
    return texts


def _search_copies(found: Trace, texts: Sequence[Text], exported: Sequence[Snapshot], made: Sequence[Dataset]) -> None:
    if not texts:
        found.unsearched.append("near copies: no mart, snapshot or dataset has the text of the post")
        return
    for snapshot in exported:
        with found.searching(f"near copies in the snapshot {snapshot.folder}"):
            copies = list(copies_in_snapshot(texts, snapshot))
            found.lines += _copy_lines(f"snapshot {snapshot.folder.name}", copies, str(snapshot.folder))
    for dataset in made:
        with found.searching(f"near copies in the dataset {dataset.id}"):
            copies = list(copies_in_dataset(texts, dataset))
            found.lines += _copy_lines(f"dataset {dataset.id}", copies, dataset.address)
            if copies and dataset.id not in found.datasets:
                found.copied.add(dataset.id)


def _copy_lines(where: str, copies: Sequence[Copy], path: str) -> Iterator[str]:
    for copy in copies[:_SHOWN]:
        split = f"{copy.split}, " if copy.split else ""
        yield f"{where}: {split}{copy.row}, near copy: {copy.role} {copy.post_id} ({copy.similarity:.0%}), {path}"
    if len(copies) > _SHOWN:
        yield f"{where}: {len(copies) - _SHOWN:,} more near copies, {path}"


def _search_models(settings: Settings, found: Trace, opened: set[str]) -> None:
    """Add the runs and versions on the datasets that hold the post, and what answers with these versions."""
    holding = {**dict.fromkeys(found.copied, "a near copy"), **dict.fromkeys(found.datasets, "the post")}
    with found.searching("runs"):
        every = runs(settings, None)
        found.searched.append(_count(len(every), "run"))
        for run in every:
            if run.dataset_id in holding:
                where = find_storage(settings).shown(run_file(settings, run.id, "")).rstrip("/")
                found.lines.append(f"run {run.id}: on dataset {run.dataset_id}, {run.status}, {where}")
                found.runs += [run.id] if run.dataset_id in found.datasets else []
    with found.searching("model versions"):
        versions = registry.versions(settings)
        found.searched.append(_count(len(versions), "model version"))
        champion = registry.champion(settings)
        direct = {one.name for one in versions if one.dataset_id in found.datasets}
        for version in versions:
            if version.dataset_id not in opened:
                _search_list(settings, version, found, direct)
        tuned_on = with_continued(versions, direct)
        copied = with_continued(versions, {one.name for one in versions if one.dataset_id in found.copied}) - tuned_on
        for version in versions:
            if version.name in tuned_on | copied:
                what = "the post" if version.name in tuned_on else "a near copy"
                why = f"tuned on dataset {version.dataset_id}" if version.dataset_id in holding else _chain(version)
                path = find_storage(settings).shown(registry.model_address(settings, version))
                found.lines.append(f"model {version.name}: {what}, {why}, {path}")
                with found.searching(f"the endpoint of {version.name}"):
                    found.lines += _endpoints(settings, version, is_champion=version == champion)
        found.versions = [one.name for one in versions if one.name in tuned_on]
        found.champion = champion.name if champion and champion.name in tuned_on else ""


def _search_list(settings: Settings, version: Version, found: Trace, direct: set[str]) -> None:
    """Search the list of training questions of a version whose dataset is not here."""
    uri = f"{registry.model_address(settings, version)}/{TRAINED_ON}"
    what = f"model {version.name}: its dataset {version.dataset_id} is not here"
    try:
        with find_storage(settings).open(uri) as file, np.load(file) as seen:
            is_seen = bool(np.isin(found.post.id, seen["questions"]))
    except (TuningError, *DAMAGED) as error:
        found.unsearched.append(f"{what}, and neither is its list of questions ({error})")
        return
    if is_seen:
        direct.add(version.name)
    else:
        found.unsearched.append(f"{what}. Only its list of questions was searched, which has no answers and no texts")


def _chain(version: Version) -> str:
    return f"continues {version.options['continues']}" if version.options.get("continues") else "by its questions"


def _endpoints(settings: Settings, version: Version, *, is_champion: bool) -> Iterator[str]:
    """Yield what answers with a version."""
    if version.tuner == "gemini":
        yield f"endpoint of {version.name}: {registry.describe(settings, version).uri}"
    if is_champion:
        alias = "; alias champion in Vertex AI's Model Registry" if find_target(settings).uses_google else ""
        yield f"served as champion: {version.name}, by `invoke serve` and `invoke predict`{alias}"


def _own(rows: Sequence[Sequence[Text]], post: Post) -> list[Text]:
    return [one for row in rows for one in row if one.post_id == post.id]


def _row(row: dict[str, Any], roles: MartColumns) -> str:
    reason = row.get(roles.quality) if roles.quality else None
    return f"{row[roles.attribution['example_id']]}, {f'left out ({reason})' if reason else 'kept'}"


def _is_site(post: Post, address: str) -> bool:
    return not post.site or post.site == host_of(address)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
