"""Whoever reads a dataset reads it alike here and in Cloud Storage; what is in the bucket is not sent there again."""

from pathlib import Path

import pytest

from tests.cloud.servers.loopback import Loopback
from tests.cloud.servers.storage_bridge import Record
from tests.cloud.storage.cloud_dataset import make_dataset
from tuning.dataset.dataset import Dataset, find_dataset, note_objects, open_dataset
from tuning.errors import TuningError
from tuning.evaluation.examples import read_examples
from tuning.gcs.bucket import object_files
from tuning.gcs.object_file import ObjectFile, blob_at
from tuning.gcs.storage import find_storage, put_files
from tuning.monitoring.drift import compare
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.places import dataset_here
from tuning.pipelines.steps.requests import dataset_sha256
from tuning.pipelines.vertex import notebook_template
from tuning.pipelines.vertex.template_job import SubmitOptions, submit_template
from tuning.pipelines.vertex.tuning_job import tuning_request
from tuning.settings import Settings
from tuning.tuners.gemini import estimate as gemini_estimate
from tuning.tuners.gemini.check import check_limits
from tuning.tuners.gemini.tuner import GeminiTuner
from tuning.tuners.hf.models.tiny import _texts
from tuning.tuners.hf.train.rows import read_examples as training_examples
from tuning.tuners.protocol import TuneOptions

LARGE = ("attribution.jsonl", "eval.jsonl", "train.jsonl")


def move(settings: Settings, dataset: Dataset) -> Dataset:
    """The dataset with its large files in the bucket and not here."""
    prefix = f"gs://{settings.bucket}/datasets/{dataset.id}"
    put_files(settings, dataset.files(), prefix, last="manifest.json")
    objects = {file.name: file for file in object_files(settings, f"{prefix}/") if file.name in LARGE}
    for name in objects:
        (dataset.folder / name).unlink()
    note_objects(dataset.folder, objects)
    return find_dataset(settings, dataset.id)


@pytest.fixture
def here(settings: Settings, tmp_path: Path) -> Dataset:
    return make_dataset(Settings(home=tmp_path / "here"), "gemini")


@pytest.fixture
def there(cloud: Settings, here: Dataset) -> Dataset:
    """The same rows, its large files in the bucket."""
    return move(cloud, make_dataset(cloud, "gemini"))


def test_every_reader_finds_the_same(here: Dataset, there: Dataset) -> None:
    assert here.objects == {}
    assert sorted(there.objects) == list(LARGE)
    for split in ("train", "eval"):
        assert isinstance(there.file(split), ObjectFile)
        assert list(there.attributions(split)) == list(here.attributions(split))
    assert read_examples(there, 5) == read_examples(here, 5)
    assert check_limits(there) == check_limits(here)
    assert gemini_estimate._measure(there) == gemini_estimate._measure(here)
    assert list(training_examples(there)) == list(training_examples(here))
    assert list(_texts(there)) == list(_texts(here))
    drift = compare(here, there)
    assert (drift.rows, drift.added, drift.removed) == ((52, 52), 0, 0)
    assert {measure.drift for measure in drift.measures} == {0.0}
    assert dataset_sha256(there) == dataset_sha256(here)


def test_a_submit_only_looks_at_what_is_in_the_bucket(
    cloud: Settings, there: Dataset, vertex_api: Loopback, storage_record: Record
) -> None:
    storage_record.seen.clear()
    said: list[str] = []
    request = tuning_request(
        cloud, Plan(dataset=find_dataset(cloud), tuner="gemini", tune=TuneOptions()), SubmitOptions(), said.append
    )
    assert said[-1].endswith(": 0 files uploaded, 4 already there")
    assert request.parameters["dataset_sha256"] == dataset_sha256(there)
    storage_record.seen.clear()
    GeminiTuner().tune(cloud, there, TuneOptions(), cloud.home)
    assert storage_record.writes == []
    (job,) = vertex_api.asked("POST", "/tuningJobs$")
    train = job.body["supervisedTuningSpec"]["trainingDatasetUri"]
    assert train == f"gs://bucket/datasets/{there.id}/train.jsonl"


def test_the_notebooks_files_are_copied_by_the_server(cloud: Settings, storage_record: Record) -> None:
    dataset = move(cloud, make_dataset(cloud))
    storage_record.seen.clear()
    said: list[str] = []
    submit_template(cloud, notebook_template.URI, {}, SubmitOptions(), said.append)
    assert [path for method, path, _ in storage_record.writes if method == "PUT"] == []
    assert not [path for _, path, span in storage_record.seen if "/download/" in path or span]
    assert len([line for line in said if line.startswith("uploaded: gs://bucket/notebook/")]) == 2
    for split, name in notebook_template.FILES.items():
        with (
            find_storage(cloud).open(notebook_template.in_folder(cloud, dataset, name)) as file,
            dataset.file(split).open() as own,
        ):
            assert file.read() == own.read()


def test_steps_on_this_machine_are_given_a_folder(cloud: Settings, here: Dataset, there: Dataset) -> None:
    fetched = dataset_here(cloud, there)
    assert fetched.folder.is_relative_to(cloud.cache_dir)
    assert fetched == open_dataset(fetched.folder)
    files = {path.name: path.read_bytes() for path in here.folder.iterdir()}
    assert {path.name: path.read_bytes() for path in fetched.folder.iterdir()} == files
    assert dataset_here(cloud, here) is here
    blob_at(cloud, there.objects["train.jsonl"].uri).upload_from_string(b"another")
    with pytest.raises(TuningError, match=r"train\.jsonl was changed after the dataset was created\. Create it"):
        dataset_here(cloud, there)
