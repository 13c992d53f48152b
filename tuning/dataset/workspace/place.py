"""Choose where a dataset is created: its working files and its large files are in folders, or both in Cloud Storage."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuning.dataset.dataset import bucket_address
from tuning.dataset.workspace.outputs import BucketOutputs, FolderOutputs, Outputs, adopt_or_discard
from tuning.dataset.workspace.store import BucketStore, FolderStore, Store
from tuning.settings import Settings
from tuning.target import find_target


@dataclass(frozen=True)
class Place:
    """Hold where one dataset is created.

    ``outputs(folder)`` returns the writer of the large files; the small ones are in `folder`. ``adopt(folder)`` creates
    `folder` from the dataset that another machine has finished at this place, and returns whether there is one.
    """

    store: Store
    outputs: Callable[[Path], Outputs]
    adopt: Callable[[Path], bool]


def find_place(settings: Settings, identity: str) -> Place:
    """Return the place for the dataset with the ID `identity`."""
    if not find_target(settings).has_bucket:
        store = FolderStore(settings.datasets_dir / f".{identity}.parts")
        return Place(store, FolderOutputs, adopt=lambda _: False)
    address = bucket_address(settings, identity)
    return Place(
        BucketStore(settings, f"gs://{settings.bucket}/parts/{identity}"),
        outputs=lambda _: BucketOutputs(settings, address),
        adopt=lambda folder: adopt_or_discard(settings, identity, folder),
    )
