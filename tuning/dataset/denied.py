"""Keep the deny list: posts that no new dataset contains, because their authors or a person want them forgotten.

The list is the file ``denied_posts.json`` of the registry, so homes that share a bucket share it. It changes by
compare-and-swap. A missing file means that no post is denied.
"""

from urllib.parse import urlsplit

import msgspec
import numpy as np

from tuning.dataset.arrow import integers
from tuning.dataset.snapshot.snapshot import Snapshot, read_batches
from tuning.errors import TuningError
from tuning.gcs.object_file import ABSENT
from tuning.gcs.storage import find_storage
from tuning.records import decode_record, record_bytes, unreadable
from tuning.settings import Settings
from tuning.storage import registry_address
from tuning.warehouse.mart_columns import MartColumns

FILE = "denied_posts.json"
POST_IDS = ("question_id", "answer_id", "rejected_answer_id")  # fields of an attribution
_ROWS_READ = 1 << 16
_REMEDY = f"Restore {FILE} from a backup, or delete it and run `invoke forget` for each post again"


class Denied(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Represent one post on the deny list."""

    post_id: int  # of a question or an answer
    site: str = ""  # host, such as stackoverflow.com; empty: the post of this id on any site
    reason: str = ""
    at: str = ""  # ISO 8601, UTC
    datasets: list[str] = []  # IDs of the datasets that contained the post when it was denied

    def is_of(self, site: str) -> bool:
        """Return whether the entry concerns the posts of this host."""
        return not self.site or not site or self.site == site


class _DenyList(msgspec.Struct, frozen=True, kw_only=True):
    posts: list[Denied]


def deny_list(settings: Settings) -> list[Denied]:
    """Return the denied posts in the order in which they were denied.

    Raises TuningError if the list is damaged or cannot be read.
    """
    return _read(settings)[0]


def shown_list(settings: Settings) -> str:
    """Return how messages name the deny list: as a path or an address."""
    return find_storage(settings).shown(_address(settings))


def deny(settings: Settings, entry: Denied) -> None:
    """Put a post on the deny list, or replace its entry. The new entry also has the datasets of the old one.

    Raises TuningError as `deny_list` does.
    """
    while True:
        posts, generation = _read(settings)
        known = {dataset for one in posts if _is_same(one, entry) for dataset in one.datasets}
        entry = msgspec.structs.replace(entry, datasets=sorted({*known, *entry.datasets}))
        content = record_bytes(_DenyList(posts=[*(one for one in posts if not _is_same(one, entry)), entry]))
        if find_storage(settings).replace(_address(settings), content, generation):
            return


def denied_in(settings: Settings, snapshot: Snapshot) -> tuple[int, ...]:
    """Return the sorted ids of denied posts that the snapshot contains. Others do not change a dataset or its ID."""
    site = host_of(str(snapshot.build["base_url"]))
    listed = [one.post_id for one in deny_list(settings) if one.is_of(site)]
    if not listed:
        return ()
    found: set[int] = set()
    for batch in read_batches(snapshot.files, id_columns(snapshot.roles), _ROWS_READ):
        for column in batch.columns:
            found.update(np.intersect1d(integers(column), np.array(listed, dtype=np.int64)).tolist())
    return tuple(sorted(found))


def id_columns(roles: MartColumns) -> list[str]:
    """Return the columns of a mart that contain ids of its posts."""
    return [roles.attribution[name] for name in POST_IDS if name in roles.attribution]


def host_of(address: str) -> str:
    """Return the host of an address without ``www.``, or '' if it has none."""
    return (urlsplit(address).hostname or "").removeprefix("www.")


def _read(settings: Settings) -> tuple[list[Denied], str]:
    """Return the list and its generation."""
    try:
        found = find_storage(settings).read(_address(settings))
    except OSError as error:
        raise unreadable(shown_list(settings), error, _REMEDY) from None
    if found is None:
        return [], ABSENT
    posts = decode_record(found.content, _DenyList, str(found), _REMEDY).posts
    if wrong := next((one for one in posts if not 0 < one.post_id < 1 << 63), None):
        raise TuningError(f"{found} is damaged (it names the post {wrong.post_id})", _REMEDY)
    return posts, found.generation


def _is_same(one: Denied, other: Denied) -> bool:
    return (one.post_id, one.site) == (other.post_id, other.site)


def _address(settings: Settings) -> str:
    return f"{registry_address(settings)}/{FILE}"
