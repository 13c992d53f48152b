"""A dataset that is made from Cloud Storage to Cloud Storage: the bytes of one made here, and nothing large here."""

import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cloud.as_typed import environment
from tests.cloud.servers.storage_bridge import Gate, Record
from tests.marts import row, write_snapshot
from tuning.dataset import create
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import OBJECTS, Dataset, find_dataset
from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.dataset.rows import pass_one, prepare
from tuning.dataset.snapshot.snapshot import Snapshot, open_snapshot, seal_snapshot
from tuning.dataset.split import pass_two
from tuning.dataset.workspace.parts import Parts
from tuning.dataset.workspace.store import BucketStore
from tuning.errors import TuningError
from tuning.gcs.bucket import object_files
from tuning.gcs.object_file import ObjectFile, blob_at
from tuning.gcs.storage import find_storage
from tuning.pipelines.steps.requests import dataset_sha256
from tuning.settings import Settings

ROWS = 2_500  # three parts and some megabytes of lines
MEGABYTE = 1 << 20
SMALL = {"NOTICE.md", "README.md", "card.html", "manifest.json"}
LARGE = {"attribution.jsonl", "eval.jsonl", "train.jsonl"}
Rows = Sequence[dict[str, Any]]
prepare_part = prepare._prepare


@pytest.fixture(scope="module")
def rows() -> Rows:
    source = random.Random(3)  # noqa: S311 - test data
    return [row(one, answer_body=f"<p>{' '.join(f'{source.getrandbits(32)}' for _ in range(150))}</p>\n")
            for one in range(ROWS)]  # fmt: skip


@pytest.fixture
def store(cloud: Settings) -> Callable[..., Snapshot]:
    """Makes a snapshot of rows whose files are in Cloud Storage."""

    def make(rows: Rows, name: str = "mart", files: int = 1) -> Snapshot:
        here = write_snapshot(cloud.home / "made" / name, rows, files=files)
        folder = cloud.home / "snapshots" / name
        folder.mkdir(parents=True)
        for path in here.files:
            find_storage(cloud).put(path, f"gs://bucket/snapshots/{name}/{path.name}")
            path.unlink()
        return seal_snapshot(
            folder, "instructions", here.build, here.roles, object_files(cloud, f"gs://bucket/snapshots/{name}/")
        )

    return make


@pytest.fixture
def made_here(rows: Rows, tmp_path: Path) -> Dataset:
    """The same rows made into a dataset on this machine."""
    snapshot = write_snapshot(tmp_path / "here" / "snapshot", rows)
    return create_dataset(Settings(home=tmp_path / "here"), snapshot, DatasetOptions(), 1)


def contents(settings: Settings, prefix: str) -> dict[str, bytes]:
    """The bytes of each object below ``prefix/``, by name."""
    found = {}
    for uri in find_storage(settings).addresses(f"{prefix}/"):
        with find_storage(settings).open(uri) as file:
            found[uri.removeprefix(f"{prefix}/")] = file.read()
    return found


CREATE = """
import sys
from pathlib import Path
import tuning.gcs.upload
from tuning.dataset.create import create_dataset
from tuning.dataset.options import DatasetOptions
from tuning.dataset.snapshot.snapshot import open_snapshot
from tuning.settings import load_settings
if __name__ == "__main__":
    tuning.gcs.upload.PART = 1 << 18
    settings = load_settings()
    create_dataset(settings, open_snapshot(Path(sys.argv[1]), settings), DatasetOptions(), int(sys.argv[2]))
"""


def start(settings: Settings, snapshot: Snapshot, workers: int) -> "subprocess.Popen[str]":
    """Make the dataset in a process that, with all it starts, cannot write a file of more than a megabyte."""
    return subprocess.Popen(
        [sys.executable, "-c", CREATE, str(snapshot.folder), str(workers)],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE)),
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_the_bytes_are_those_of_a_dataset_made_here_and_nothing_large_is_written_here(
    cloud: Settings, rows: Rows, made_here: Dataset, store: Callable[..., Snapshot], workers: int
) -> None:
    shuffled = random.Random(workers).sample(list(rows), len(rows))  # noqa: S311 - test data
    snapshot = store(shuffled, files=3)
    process = start(cloud, snapshot, workers)
    said = process.communicate(timeout=300)
    assert (said, process.returncode) == (("", ""), 0)
    expected = {path.name: path.read_bytes() for path in made_here.folder.iterdir()}
    assert max(len(content) for content in expected.values()) > 4 * MEGABYTE
    assert contents(cloud, f"gs://bucket/datasets/{made_here.id}") == expected
    dataset = find_dataset(cloud)
    assert dataset.id == made_here.id
    here = {path.name: path.read_bytes() for path in dataset.folder.iterdir()}
    noted = here.pop(OBJECTS)
    assert here == {name: expected[name] for name in SMALL}
    assert len(noted) < 2_000
    assert cloud.access_token.encode() not in noted
    assert {name: file.size for name, file in dataset.objects.items()} == {name: len(expected[name]) for name in LARGE}
    assert list(find_storage(cloud).addresses("gs://bucket/parts/")) == []
    assert dataset_sha256(dataset) == dataset_sha256(made_here)


@pytest.mark.slow
def test_ray_gives_the_same_bytes_with_parts_in_the_bucket(
    cloud: Settings, rows: Rows, made_here: Dataset, store: Callable[..., Snapshot]
) -> None:
    snapshot = store(rows, files=2)
    program = CREATE.replace("int(sys.argv[2])", "int(sys.argv[2]), Engine('ray')").replace(
        "import sys\n", "import sys\nfrom tuning.dataset.workspace.engine import Engine\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(snapshot.folder), "2"],
        env=environment(cloud),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    expected = {path.name: path.read_bytes() for path in made_here.folder.iterdir()}
    assert contents(cloud, f"gs://bucket/datasets/{made_here.id}") == expected
    assert list(find_storage(cloud).addresses("gs://bucket/parts/")) == []


def test_the_seed_preset_gives_the_bytes_of_one_made_here(
    cloud: Settings, store: Callable[..., Snapshot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, options = [row(number) for number in range(200)], resolve_options(preset="seed")
    whole = create_dataset(Settings(home=tmp_path), write_snapshot(tmp_path / "snapshot", few), options, 1)
    monkeypatch.setattr(pass_one, "_ROWS_PER_PART_SEED", 40)
    monkeypatch.setattr(pass_two, "_ROWS", 30)
    dataset = create_dataset(cloud, store(few, files=2), options, 2)
    assert contents(cloud, f"gs://bucket/datasets/{dataset.id}") == {
        path.name: path.read_bytes() for path in whole.folder.iterdir()
    }


def test_the_same_limit_is_too_low_for_a_dataset_made_here(tmp_path: Path, rows: Rows) -> None:
    settings = Settings(home=tmp_path / "home")
    process = start(settings, write_snapshot(tmp_path / "snapshot", rows), 1)
    _, errors = process.communicate(timeout=300)
    assert "File too large" in errors


@pytest.mark.parametrize("stage", ["pass one", "writing"])
def test_a_killed_run_is_taken_up_where_it_was(
    cloud: Settings,
    storage_server: Any,
    storage_record: Record,
    rows: Rows,
    made_here: Dataset,
    store: Callable[..., Snapshot],
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    snapshot = store(rows)
    first = start(cloud, snapshot, 2)
    try:
        if stage == "writing":
            storage_record.gate = Gate(parts=8)
            assert storage_record.gate.reached.wait(timeout=120), first.communicate(timeout=10)
        else:
            while not [name for name in [*storage_server._storage.objects["bucket"]] if name.endswith(".keys")]:
                assert first.poll() is None, first.communicate()
        first.send_signal(signal.SIGKILL)
        assert "upload_id" not in "".join(first.communicate(timeout=60))
    finally:
        first.kill()
        if storage_record.gate:
            storage_record.gate.open.set()
        finished = [uri for uri in find_storage(cloud).addresses("gs://bucket/parts/") if uri.endswith(".keys")]
        storage_record.gate = None  # only now: a part of the file that is sent beside it waited too, and was dropped
    assert len(finished) == 3 if stage == "writing" else len(finished) > 0
    assert list(cloud.datasets_dir.glob("[!.]*")) == []
    made = []
    monkeypatch.setattr(prepare, "_prepare", lambda job, batch: made.append(job.number) or prepare_part(job, batch))
    monkeypatch.setattr("tuning.gcs.upload.PART", 1 << 18)
    storage_record.seen.clear()
    resumed = create_dataset(cloud, snapshot, DatasetOptions(), 1)
    assert len(made) == 3 - len(finished)
    streamed = sum(-(-file.size // (1 << 18)) for file in resumed.objects.values())
    sent = len(storage_record.parts) - len(SMALL)
    assert sent == streamed
    expected = {path.name: path.read_bytes() for path in made_here.folder.iterdir()}
    assert contents(cloud, f"gs://bucket/datasets/{made_here.id}") == expected
    assert list(find_storage(cloud).addresses("gs://bucket/parts/")) == []
    assert sorted(path.name for path in cloud.datasets_dir.iterdir()) == [f".{resumed.id}.lock", resumed.id]


@pytest.fixture
def few(store: Callable[..., Snapshot]) -> Snapshot:
    return store([row(number) for number in range(120)])


def test_a_part_whose_data_is_another_is_made_again(
    cloud: Settings, few: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    made = []
    monkeypatch.setattr(prepare, "_prepare", lambda job, batch: made.append(job.number) or prepare_part(job, batch))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(create, "select", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                create_dataset(cloud, few, DatasetOptions(), 1)
    assert made == [0]
    (data,) = [file for file in object_files(cloud, "gs://bucket/parts/") if file.name.endswith(".data")]
    blob_at(cloud, data.uri).upload_from_string(b"other")
    create_dataset(cloud, few, DatasetOptions(), 1)
    assert made == [0, 0]


def test_a_file_between_the_passes_is_replaced_by_what_differs(cloud: Settings) -> None:
    store = BucketStore(cloud, "gs://bucket/parts/1")
    for content in (b"one", b"one", b"other"):
        store.write("000000.data", content)
        assert store.read("000000.data") == content
    assert store.read("000001.data") is None
    assert store.crc32c("000001.data") is None
    spans = [("000000.data", 1, 2), ("000000.data", 4, 1), ("000000.data", 2, 0)]
    assert bytes(store.read_spans(spans)) == b"thr"
    assert Parts(store).keys(0) is None


def test_a_line_that_breaks_and_a_server_that_is_busy_change_nothing(
    cloud: Settings, few: Snapshot, storage_record: Record, tmp_path: Path
) -> None:
    storage_record.broken_reads, storage_record.refused_parts, storage_record.lost_answers = 9, 3, 3
    dataset = create_dataset(cloud, few, DatasetOptions(), 1)
    assert (storage_record.broken_reads, storage_record.refused_parts, storage_record.lost_answers) == (0, 0, 0)
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(120)])
    made = create_dataset(Settings(home=tmp_path / "here"), snapshot, DatasetOptions(), 1)
    expected = {path.name: path.read_bytes() for path in made.folder.iterdir()}
    assert contents(cloud, f"gs://bucket/datasets/{dataset.id}") == expected


def test_another_machine_finds_what_one_has_made(
    cloud: Settings, few: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = create_dataset(cloud, few, DatasetOptions(), 1)
    other = msgspec.structs.replace(cloud, home=cloud.home.parent / "other")
    monkeypatch.setattr(create, "_make", None)
    found = create_dataset(other, few, DatasetOptions(), 1)
    assert found.objects.keys() == dataset.objects.keys()
    assert [file.generation for file in found.objects.values()] == [
        dataset.objects[name].generation for name in found.objects
    ]
    assert sorted(path.name for path in found.folder.iterdir()) == sorted({*SMALL, OBJECTS})


def test_a_dataset_whose_files_are_gone_is_said_to_be_and_made_again(cloud: Settings, few: Snapshot) -> None:
    dataset = create_dataset(cloud, few, DatasetOptions(), 1)
    blob_at(cloud, f"gs://bucket/datasets/{dataset.id}/train.jsonl").delete()
    gone = r"train\.jsonl was deleted or replaced\. Run `invoke dataset` to create it again"
    with pytest.raises(TuningError, match=gone):
        dataset_sha256(dataset)
    again = create_dataset(cloud, few, DatasetOptions(), 1)
    assert dataset_sha256(again)
    assert again.manifest == dataset.manifest
    assert find_dataset(cloud) == again


def test_a_manifest_beside_files_that_are_not_whole_goes_before_they_are_replaced(
    cloud: Settings, few: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = create_dataset(cloud, few, DatasetOptions(), 1)
    blob_at(cloud, f"gs://bucket/datasets/{dataset.id}/eval.jsonl").upload_from_string(b"cut")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(create, "_make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create_dataset(cloud, few, DatasetOptions(), 1)
    assert f"gs://bucket/datasets/{dataset.id}/manifest.json" not in find_storage(cloud).addresses(
        "gs://bucket/datasets/"
    )


def test_prepared_rows_that_stay_are_named(
    cloud: Settings, few: Snapshot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(store: BucketStore) -> None:
        if not store.prefix.endswith("leaks"):
            raise TuningError(f"deleting {store.prefix}/000000.data: forbidden")

    monkeypatch.setattr(BucketStore, "clear", refused)
    dataset = create_dataset(cloud, few, DatasetOptions(), 1)
    assert capsys.readouterr().err == (
        f"warning: could not delete working files (deleting gs://bucket/parts/{dataset.id}/000000.data: forbidden.)\n"
    )


def test_on_target_local_its_files_are_out_of_reach(cloud: Settings, few: Snapshot, tmp_path: Path) -> None:
    dataset = create_dataset(cloud, few, DatasetOptions(), 1)
    local = Settings(home=cloud.home)
    with pytest.raises(TuningError, match=r"are in Cloud Storage, such as gs://bucket/.*\. Add --target gcp"):
        find_dataset(local, dataset.id)
    with pytest.raises(TuningError, match="there is no dataset"):
        find_dataset(local)
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(120)])
    assert create_dataset(local, snapshot, DatasetOptions(), 1).objects == {}
    assert find_dataset(local).id == dataset.id


def test_the_files_are_one_generation_each(cloud: Settings, few: Snapshot) -> None:
    dataset = create_dataset(cloud, few, DatasetOptions(), 1)
    train = dataset.file("train")
    assert isinstance(train, ObjectFile)
    assert open_snapshot(few.folder, cloud) == few
    blob_at(cloud, train.uri).upload_from_string(b"another")
    with pytest.raises(TuningError, match="was deleted or replaced"), train.open() as file:
        file.read()
