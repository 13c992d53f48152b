"""Bring what the steps of a pipeline read to where they can read it: on this machine, or in the bucket."""

from pathlib import Path

from tuning.dataset.dataset import MANIFEST, Dataset, bucket_address, open_dataset
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage, put_bytes, put_files
from tuning.pipelines.steps.requests import Place
from tuning.registry import registry
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.storage import is_in_bucket, write_bytes
from tuning.target import find_target


def place_in(settings: Settings, folder: str) -> Place:
    """Return a function that stores a file in `folder`, a path or an address in Cloud Storage, and returns its address.

    The function raises TuningError if an upload fails.
    """

    def place(name: str, content: bytes) -> str:
        address = f"{folder}/{name}"
        if is_in_bucket(address):
            put_bytes(settings, content, address)
        else:
            write_bytes(Path(address), content)
        return address

    return place


def model_address(settings: Settings, version: Version) -> str:
    """Return the address of a version's model for the steps. A step on Vertex AI reads it in the bucket."""
    if find_target(settings).on_vertex:
        return registry.model_address(settings, version)
    return str(registry.model_folder(settings, version))


def upload_dataset(settings: Settings, dataset: Dataset) -> tuple[str, int]:
    """Upload the dataset's files that are not in the bucket yet. Return its address and how many files were sent.

    Raises TuningError if an upload fails.
    """
    address = bucket_address(settings, dataset.id)
    stored = put_files(settings, dataset.files(), address, last=MANIFEST)
    return address, sum(one.sent for one in stored)


def dataset_here(settings: Settings, dataset: Dataset) -> Dataset:
    """Return the dataset on this machine. Download its files if they are in Cloud Storage.

    Raises TuningError if a file is missing or has changed.
    """
    if not dataset.objects:
        return dataset
    folder = settings.cache_dir / "datasets" / dataset.id
    storage = find_storage(settings)
    for name in dataset.files():
        stored = dataset.objects.get(name)
        if stored is None:
            write_bytes(folder / name, (dataset.folder / name).read_bytes())
        elif storage.get(stored.uri, folder / name).crc32c != stored.crc32c:
            raise TuningError(
                f"{stored} was changed after the dataset was created", "Create it again with `invoke dataset`"
            )
    return open_dataset(folder)
