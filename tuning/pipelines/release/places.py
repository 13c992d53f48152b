"""Bring what the steps of a pipeline read to where they can read it: on this machine, or in the bucket."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tuning.dataset.benchmark_files import benchmark_files
from tuning.dataset.dataset import MANIFEST, Dataset, bucket_address, open_dataset
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage, put_bytes, put_files
from tuning.registry import registry
from tuning.registry.mirror import has_only_adapter
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.storage import is_in_bucket, sha256_of, write_bytes
from tuning.tuners.hf.models.hub_models import is_gated


@dataclass(frozen=True)
class FolderInputs:
    """Keep the inputs of steps that run on this machine. Requests are in `folder`; the rest can stay where it is."""

    settings: Settings
    folder: str

    def store(self, name: str, content: bytes) -> str:
        """Write a request into the folder."""
        write_bytes(Path(self.folder, name), content)
        return f"{self.folder}/{name}"

    def file(self, path: Path) -> str:
        """Return the absolute path, because steps run in another folder."""
        return str(path.absolute())

    def dataset(self, dataset: Dataset) -> tuple[Dataset, str]:
        """Return the dataset on this machine, as `dataset_here` does, and its folder."""
        here = dataset_here(self.settings, dataset)
        return here, str(here.folder)

    def model(self, version: Version) -> str:
        """Return the folder of the model on this machine. From a bucket, it is downloaded."""
        return str(registry.model_folder(self.settings, version))


@dataclass(frozen=True)
class BucketInputs:
    """Keep the inputs of steps that run on Vertex AI: requests and files of options in `folder`, all in the bucket."""

    settings: Settings
    folder: str

    def store(self, name: str, content: bytes) -> str:
        """Upload a request."""
        address = f"{self.folder}/{name}"
        put_bytes(self.settings, content, address)
        return address

    def file(self, path: Path) -> str:
        """Upload a file, or the benchmark files of a folder, with the name of `path`.

        The address has the hash of the content, so that a changed file is another one.
        """
        files = {file.relative_to(path) if file != path else Path(): file for file in benchmark_files(path)}
        digest = hashlib.sha256()
        for name, file in files.items():
            digest.update(f"{name.as_posix()} {sha256_of(file)}\n".encode())
        address = f"{self.folder}/options/{digest.hexdigest()[:16]}/{path.absolute().name}"
        for name, file in files.items():
            find_storage(self.settings).put(file, f"{address}/{name.as_posix()}" if name.parts else address)
        return address

    def dataset(self, dataset: Dataset) -> tuple[Dataset, str]:
        """Upload the dataset's files that are not in the bucket yet."""
        return dataset, upload_dataset(self.settings, dataset)[0]

    def model(self, version: Version) -> str:
        """Return the address in the registry's bucket. Raises TuningError if the steps cannot download its base.

        That is so if the version kept only its adapter.
        """
        if is_gated(version.base_model) and has_only_adapter(self.settings, version):
            raise TuningError(
                f"a new model must beat {version.name}, an adapter of {version.base_model}, which asks for a login on "
                "the hub that the steps on Vertex AI do not have",
                "Tune on a machine of your own, or promote a version that is a whole model (--keep merged)",
            )
        return registry.model_address(self.settings, version)


Inputs = FolderInputs | BucketInputs


def inputs_in(settings: Settings, folder: str) -> Inputs:
    """Return the place of the inputs whose requests are in `folder`: a path, or an address in Cloud Storage."""
    return BucketInputs(settings, folder) if is_in_bucket(folder) else FolderInputs(settings, folder)


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
