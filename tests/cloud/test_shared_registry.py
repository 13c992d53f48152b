"""Two homes that share a bucket have one registry: whatever races, is lost or is killed, both see the same."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.cloud.servers.storage_bridge import Record
from tests.cloud.storage.cloud_dataset import make_dataset
from tests.marts import row, write_snapshot
from tests.verdicts import verdict
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import datasets, find_dataset
from tuning.dataset.denied import Denied, deny, deny_list
from tuning.dataset.options import resolve_options
from tuning.errors import TuningError
from tuning.gcs.bucket import BucketStorage
from tuning.gcs.folder import FolderStorage
from tuning.gcs.object_file import ABSENT, client
from tuning.gcs.storage import find_storage, put_files
from tuning.monitoring.history import runs
from tuning.monitoring.tracing.post import Post
from tuning.monitoring.tracing.trace import trace
from tuning.pipelines.release.record import newest_report, read_run, start_run, write_run
from tuning.registry import journal, registry
from tuning.registry.listing import history_lines, model_lines
from tuning.registry.model_folder import contents_sha256
from tuning.registry.records import Candidate
from tuning.settings import Settings
from tuning.tuners.protocol import Model

RACERS, PROMOTIONS = 4, 50
Register = Callable[[Settings, str], str]


@pytest.fixture
def homes(cloud: Settings, tmp_path: Path) -> tuple[Settings, Settings]:
    one, other = (msgspec.structs.replace(cloud, home=tmp_path / name) for name in ("one", "other"))
    return one, other


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """Registers a small model under the training key `key`, and returns the name of the version."""

    def make(settings: Settings, key: str) -> str:
        folder = tmp_path / "tuned" / key
        (folder / "weights" / "merged").mkdir(parents=True, exist_ok=True)
        (folder / "weights" / "merged" / "model.safetensors").write_bytes(key.encode() * 1000)
        (folder / "model.json").write_bytes(
            msgspec.json.encode(Model(tuner="hf", base_model="small", uri="weights/merged"))
        )
        candidate = Candidate(
            created_at="2026-01-01T00:00:00+00:00",
            training_key=key,
            tuner="hf",
            base_model="small",
            options={},
            dataset_id="d1",
            dataset_sha256="0",
            template="Answer.",
            format="messages",
            body="markdown",
            contents_sha256=contents_sha256(folder),
            metrics={"loss": 1.5},
            verdict=verdict("loss", "loss improves"),
            run_id="r1",
        )
        return registry.register(settings, candidate, folder)[0].name

    return make


def seen(settings: Settings) -> list[str]:
    return model_lines(settings) + history_lines(settings)


def opened(settings: Settings, name: str) -> bytes:
    model = registry.open_version(settings, registry.find_version(settings, name))
    return (Path(model.uri) / "model.safetensors").read_bytes()


def test_both_homes_see_the_same_and_the_loss_of_one_loses_nothing(
    homes: tuple[Settings, Settings], register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = homes
    assert (register(one, "a"), register(other, "b")) == ("v1", "v2")
    registry.promote(other, "v1")
    registry.promote(one, "v2", force=True, reason="a trial")
    registry.rollback(other, "over")
    dataset = make_dataset(one)
    put_files(one, dataset.files(), f"gs://bucket/datasets/{dataset.id}", last="manifest.json")
    folder, record = start_run(one, "tune-python-qa", dataset.id)
    (folder / "report.html").write_text("the report")
    write_run(one, folder, msgspec.structs.replace(record, status="succeeded", version="v1"))
    lines = seen(one)
    assert lines == seen(other)
    assert [line.split()[1] for line in lines[-5:]] == [
        *("registered", "registered", "promoted", "promoted", "rolled"),
    ]
    shutil.rmtree(one.home)
    for home in (other, msgspec.structs.replace(other, home=other.home / "new")):
        assert seen(home) == lines
        assert opened(home, "champion") == b"a" * 1000
        assert [(run.id, run.status, run.version) for run in runs(home, None)] == [(record.id, "succeeded", "v1")]
        assert newest_report(home).path.read_text() == "the report"
        assert [one.id for one in datasets(home)] == [dataset.id]
        assert len(list(find_dataset(home, dataset.id).pairs("train"))) == 40
    assert capsys.readouterr().err == ""
    assert not list(other.models_dir.glob("*"))


def test_fifty_racing_promotions_lose_none_and_no_reader_sees_half(
    homes: tuple[Settings, Settings], register: Register
) -> None:
    names = [register(homes[0], key) for key in ("a", "b", "c")]
    racing, told = True, []

    def promote(racer: int) -> list[str]:
        settings = msgspec.structs.replace(homes[racer % 2], poll_seconds=1.0 + racer)  # so it has a client of its own
        done = []
        waiting = [f"promotion {number}" for number in range(racer, PROMOTIONS, RACERS)]
        while waiting:
            try:
                registry.promote(settings, names[len(waiting) % 3], force=True, reason=waiting[-1])
                done.append(waiting.pop())
            except registry.ChampionChangedError as error:
                told.append(str(error))
        return done

    def add() -> None:
        for number in range(5):
            register(homes[1], f"later {number}")

    def read(settings: Settings) -> int:
        reads, whole = 0, set()
        while racing or not reads:
            found = {version.name: version for version in registry.versions(settings)}
            champion = registry.champion(settings)
            assert champion is None or champion.name in names
            for name in found.keys() - whole:
                assert len(set(opened(settings, name))) >= 1
                whole.add(name)
            reads += 1
        assert whole >= {*names}
        return reads

    with ThreadPoolExecutor(RACERS + 3) as pool:
        readers = [pool.submit(read, msgspec.structs.replace(home, poll_seconds=9.0)) for home in homes]
        adding = pool.submit(add)
        racers = [pool.submit(promote, racer) for racer in range(RACERS)]
        try:
            promised = [reason for racer in racers for reason in racer.result()]
            adding.result()
        finally:
            racing = False
        assert min(reader.result() for reader in readers) > 0
    events = registry.history(homes[0])
    recorded = [event.reason for event in events if event.action.startswith("promoted")]
    assert sorted(recorded) == sorted(promised)
    assert len(recorded) == PROMOTIONS
    assert told
    assert all("became the champion while" in line for line in told)
    assert [event.version for event in events if event.action == "registered"] == [f"v{n}" for n in range(1, 9)]
    assert seen(homes[0]) == seen(homes[1])


@pytest.mark.parametrize("name", ["cloud", "settings"])
def test_a_version_is_not_seen_before_all_its_files_are_there(
    name: str, request: pytest.FixtureRequest, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = request.getfixturevalue(name)
    register(home, "a")
    before, store = seen(home), registry.keep_files

    def watched(*arguments: object, **options: object) -> None:
        assert seen(home) == before
        store(*arguments, **options)  # type: ignore[arg-type]
        assert seen(home) == before

    monkeypatch.setattr(registry, "keep_files", watched)
    register(home, "b")
    assert opened(home, "v2") == b"b" * 1000


def test_of_two_promotions_at_once_the_second_is_told(
    homes: tuple[Settings, Settings], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = homes
    for key in ("a", "b", "c"):
        register(one, key)
    write = journal._write

    def before_the_next_write(act: Callable[[], object]) -> None:
        def late(*arguments: object) -> bool:
            monkeypatch.setattr(journal, "_write", write)
            act()
            return write(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(journal, "_write", late)

    before_the_next_write(lambda: registry.promote(other, "v2", force=True, reason="first"))
    with pytest.raises(registry.ChampionChangedError, match="v2 became the champion while v1 was being promoted"):
        registry.promote(one, "v1")
    before_the_next_write(lambda: registry.rollback(other))
    with pytest.raises(registry.ChampionChangedError, match="v2 was rolled back while the last promotion was being"):
        registry.rollback(one)
    before_the_next_write(lambda: register(other, "d"))
    registry.promote(one, "v1")  # a registration does not stand in its way
    assert [event.version for event in registry.history(one)] == ["v1", "v2", "v3", "v2", "v2", "v4", "v1"]


def test_a_change_whose_answer_is_lost_is_made_once(
    homes: tuple[Settings, Settings], register: Register, storage_record: Record
) -> None:
    register(homes[0], "a")
    storage_record.lost_answers = 1
    assert registry.promote(homes[0], "v1")[1] is True
    assert storage_record.lost_answers == 0
    assert [event.action for event in registry.history(homes[1])] == ["registered", "promoted"]


def test_a_registration_that_is_killed_is_no_version_and_leaves_its_name(
    homes: tuple[Settings, Settings], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = homes
    register(one, "a")
    before = seen(other)
    monkeypatch.setattr(registry, "change", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))  # before the journal
    with pytest.raises(KeyboardInterrupt):
        register(one, "b")
    monkeypatch.undo()
    assert find_storage(one).children("gs://bucket/registry") == ["journal.jsonl", "v1", "v2"]
    assert seen(other) == before
    assert register(other, "b") == "v3"
    assert opened(one, "v3") == b"b" * 1000


def test_the_same_training_of_two_homes_is_one_version(homes: tuple[Settings, Settings], register: Register) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda home: register(home, "a"), homes)) <= {"v1", "v2"}
    assert len(registry.versions(homes[0])) == 1
    assert len(find_storage(homes[0]).children("gs://bucket/registry")) == 2


@pytest.mark.parametrize("name", ["weights/merged/model.safetensors", "model.json"])
def test_a_model_that_was_changed_in_the_bucket_is_refused(
    homes: tuple[Settings, Settings], register: Register, name: str
) -> None:
    register(homes[0], "a")
    client(homes[0]).bucket("bucket").blob(f"registry/v1/model/{name}").upload_from_string(b"other")
    with pytest.raises(TuningError, match=rf"v1/model/{name} is not the file that was registered as v1"):
        opened(homes[1], "v1")
    assert not list((homes[1].cache_dir / "models").glob("[!.]*"))


def test_a_download_that_breaks_goes_on_and_a_changed_copy_is_made_again(
    homes: tuple[Settings, Settings], register: Register, monkeypatch: pytest.MonkeyPatch, storage_record: Record
) -> None:
    register(homes[0], "a")
    get = type(find_storage(homes[1])).get

    def broken(storage: object, uri: str, path: Path) -> object:
        if uri.endswith("model.safetensors"):
            raise TuningError("the line is cut")
        return get(storage, uri, path)  # type: ignore[arg-type]

    monkeypatch.setattr(type(find_storage(homes[1])), "get", broken)
    with pytest.raises(TuningError, match="the line is cut"):
        opened(homes[1], "v1")
    assert not list((homes[1].cache_dir / "models").glob("[!.]*"))
    monkeypatch.undo()
    assert opened(homes[1], "v1") == b"a" * 1000
    storage_record.seen.clear()
    opened(homes[1], "v1")
    assert not [path for _, path, _ in storage_record.seen if "/model/" in path]  # it is downloaded once
    (file,) = homes[1].cache_dir.glob("models/*/weights/merged/model.safetensors")
    file.write_bytes(b"damaged")
    assert opened(homes[1], "v1") == b"a" * 1000


def test_a_record_that_names_a_file_elsewhere_is_refused(homes: tuple[Settings, Settings], register: Register) -> None:
    register(homes[0], "a")
    version = registry.find_version(homes[0], "v1")
    for files in ({"../../outside": "0"}, {"/outside": "0"}, {}):
        with pytest.raises(TuningError, match="the record of v1 is damaged"):
            registry.model_folder(homes[1], msgspec.structs.replace(version, files=files))


def test_a_dataset_that_is_incomplete_in_the_bucket_is_not_seen_and_not_touched(
    homes: tuple[Settings, Settings],
) -> None:
    dataset = make_dataset(homes[0])
    put_files(homes[0], dataset.files(), f"gs://bucket/datasets/{dataset.id}", last="manifest.json")
    client(homes[0]).bucket("bucket").blob(f"datasets/{dataset.id}/eval.jsonl").delete()
    assert list(datasets(homes[1])) == []
    with pytest.raises(TuningError, match="contains no dataset"):
        find_dataset(homes[1], dataset.id)
    assert "manifest.json" in find_storage(homes[0]).children(f"gs://bucket/datasets/{dataset.id}")


def test_a_run_that_cannot_be_shared_is_a_warning_and_stays_here(
    homes: tuple[Settings, Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise TuningError("no answer from the bucket")

    monkeypatch.setattr(BucketStorage, "put", refuse)
    folder, record = start_run(homes[0], "hello")
    said = f"warning: the record of the run {record.id} is on this machine only (no answer from the bucket.)"
    assert capsys.readouterr().err.splitlines() == [said]
    assert read_run(folder) == record


def test_with_target_local_the_home_has_its_own_registry(homes: tuple[Settings, Settings], register: Register) -> None:
    register(homes[0], "a")
    local = Settings(home=homes[0].home)
    assert registry.versions(local) == []
    assert isinstance(find_storage(local), FolderStorage)
    assert register(local, "b") == "v1"
    assert opened(local, "v1") == b"b" * 1000
    assert opened(homes[0], "v1") == b"a" * 1000


def test_a_small_object_changes_only_from_the_generation_that_was_read(cloud: Settings, settings: Settings) -> None:
    for storage in (find_storage(cloud), find_storage(settings)):
        uri = f"gs://{storage.settings.bucket}/registry/journal.jsonl"
        assert storage.read(uri) is None
        assert storage.replace(uri, b"one", ABSENT)
        assert not storage.replace(uri, b"other", ABSENT)
        first = storage.read(uri)
        assert storage.replace(uri, b"two", first.generation)
        assert not storage.replace(uri, b"three", first.generation)
        assert storage.read(uri).content == b"two"


def test_homes_share_the_deny_list_and_two_posts_that_are_denied_at_once_are_both_on_it(
    homes: tuple[Settings, Settings], register: Register, tmp_path: Path
) -> None:
    one, other = homes
    register(one, "k1")
    with ThreadPoolExecutor(RACERS) as pool:
        list(pool.map(lambda post: deny(homes[post % 2], Denied(post_id=post, datasets=["d1"])), range(1, 9)))
    assert {entry.post_id for entry in deny_list(other)} == set(range(1, 9))
    assert [line for line in seen(other) if line.startswith("! v1 ")] == [line for line in seen(one) if "!" in line]
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(1, 41)])
    made = create_dataset(other, snapshot, resolve_options(), 1)
    assert {"step": "deny list", "reason": "forgotten post", "rows": 8} in made.manifest.funnel
    found = trace(one, Post(20))
    assert found.datasets == {made.id: made.address}
    assert made.address.startswith("gs://")
