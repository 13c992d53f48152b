"""Every file of a home, damaged in many ways: a command names the file, or its result is the same as before."""

import contextlib
import io
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tuning.command_line.options import SplitOptions
from tuning.dataset.create import create_dataset, describe_dataset
from tuning.dataset.snapshot.export import find_snapshot
from tuning.errors import TuningError
from tuning.monitoring import frames, watch
from tuning.monitoring.history import runs
from tuning.pipelines.clean import clean
from tuning.pipelines.job_lines import find_job, status_lines
from tuning.pipelines.local.cache import drop_broken_entries
from tuning.pipelines.release.record import newest_report, read_run
from tuning.records import FORMAT_VERSION
from tuning.registry import registry
from tuning.registry.listing import history_lines, model_lines
from tuning.registry.model_folder import count_seen
from tuning.settings import Settings
from tuning.sharing.export_model import export_model
from tuning.tuners.options import dataset_options

DAMAGES: dict[str, Callable[[bytes], bytes] | None] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "not JSON": lambda content: b"hello\n",
    "of another type": lambda content: b"[1, 2]\n",
    "null": lambda content: b"null\n",
    "without a key": lambda content: b"{}\n",
    "noise": lambda content: bytes(range(256)) * 4,
    "not UTF-8": lambda content: b'{"id": "\xe4\xf6"}\n',
    "a folder": None,
}
DATASET = "datasets/6e92baf9494158d6"
SNAPSHOT = "snapshots/local.project.python_qa.python_qa_instructions-c97a27c67bc0"


def models(settings: Settings) -> object:
    return model_lines(settings) + history_lines(settings)


def monitor(settings: Settings) -> object:
    return watch.in_lines(watch.watch(settings, "", "", 10))


def tables(settings: Settings) -> object:
    opened = frames.open_dataset(settings=settings), frames.open_dataset(settings=settings, columns=["question_id"])
    return [frame.to_string() for frame in (*opened, frames.open_metrics(settings=settings))]


def split(settings: Settings) -> object:
    options = dataset_options(settings, None, SplitOptions(limit=50))
    return describe_dataset(create_dataset(settings, find_snapshot(settings, options), options, 1))


def open_champion(settings: Settings) -> object:
    version = registry.find_version(settings, "champion")
    folder = registry.model_folder(settings, version)
    return registry.open_version(settings, version).base_model, count_seen(folder, *[_numbers(), _numbers()])


def _numbers():
    import numpy as np

    return np.arange(100_000, dtype=np.int64)


COMMANDS: list[Callable[[Settings], object]] = [
    models,
    monitor,
    tables,
    split,
    open_champion,
    newest_report,
    lambda settings: status_lines(find_job(settings, "")),
    lambda settings: list(clean(settings, "30d", dry_run=True)),
]


def result_of(run: Callable[[Settings], object], settings: Settings) -> tuple[str, str]:
    """What a command returned and printed, and its error. Any other exception than a TuningError fails the test."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            return f"{run(settings)} {printed.getvalue()}", ""
        except TuningError as error:
            return "", str(error)


@contextlib.contextmanager
def damaged(path: Path, change: Callable[[bytes], bytes] | None) -> Iterator[None]:
    content, times = path.read_bytes(), [(one, one.stat()) for one in (path, path.parent)]

    def keep_times() -> None:  # the newest dataset is the one whose folder changed last
        for one, stat in times:
            os.utime(one, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    path.unlink()
    if change is None:
        path.mkdir()
    else:
        path.write_bytes(change(content))
    keep_times()
    try:
        yield
    finally:
        if change is None:
            shutil.rmtree(path)
        path.write_bytes(content)
        keep_times()


def files_of(home: Path) -> list[Path]:
    """The files that a command reads. The warehouse's own files and the pipeline's outputs have tests of their own."""
    apart = {"warehouse", "pipeline", "dbt"}
    files = (path for path in sorted(home.rglob("*")) if path.is_file() and not path.name.endswith((".lock", ".log")))
    return [path for path in files if path.relative_to(home).parts[0] not in apart]


def test_each_damage_of_each_file_is_named_or_changes_nothing(settings: Settings, old_home: Path) -> None:
    split(settings)
    before = [result_of(run, settings) for run in COMMANDS]
    assert [error for _, error in before if error] == []
    wrong, named = [], set()
    for path in files_of(old_home):
        file = path.relative_to(old_home)
        places = [str(path), *(str(old_home / parent) for parent in file.parents if len(parent.parts) > 1)]
        for name in ("empty", "noise", "a folder") if "weights" in file.parts else DAMAGES:
            with damaged(path, DAMAGES[name]):
                for run, expected in zip(COMMANDS, before, strict=True):
                    result, error = result_of(run, settings)
                    if (result, error) == expected:
                        continue
                    if any(place in error or f"the files in {place} have changed" in result for place in places):
                        named.add(str(file))
                    else:
                        wrong.append((str(file), name, result[:200], error))
    assert wrong == []
    assert named >= {
        *(f"models/{name}" for name in ("journal.jsonl", "v1/version.json", "v1/model/model.json")),
        "models/v1/model/trained_on.npz",
        "models/v1/model/weights/merged/model.safetensors",
        *(f"{DATASET}/{name}" for name in ("manifest.json", "attribution.jsonl", "train.jsonl", "eval.jsonl")),
        f"{SNAPSHOT}/snapshot.json",
        "runs/20261129-104907-7149f2/run.json",
    }


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "file",
    [
        *("models/v1/version.json", "models/v1/model/model.json", "models/journal.jsonl"),
        *(f"{DATASET}/manifest.json", f"{DATASET}/attribution.jsonl", f"{SNAPSHOT}/snapshot.json"),
        *(f"{SNAPSHOT}/part-00000.parquet", "models/v1/model/trained_on.npz"),
        "runs/20261129-104907-7149f2/run.json",
    ],
)
def test_a_pipe_in_place_of_a_file_is_named(settings: Settings, old_home: Path, file: str) -> None:
    path = old_home / file
    path.unlink()
    os.mkfifo(path)
    errors = [result_of(run, settings)[1] for run in COMMANDS]
    assert any(str(path) in error and "a pipe or device, not a file" in error for error in errors)


def test_a_record_of_a_run_that_links_to_itself_is_named(settings: Settings, old_home: Path) -> None:
    path = old_home / "runs/20261129-104907-7149f2/run.json"
    path.unlink()
    path.symlink_to(path.name)
    assert str(path) in result_of(monitor, settings)[1]


@pytest.mark.parametrize(
    "file",
    ["models/v1/version.json", "models/v1/model/model.json", f"{DATASET}/manifest.json", f"{SNAPSHOT}/snapshot.json"],
)
def test_a_file_of_a_newer_version_of_the_project_is_refused(settings: Settings, old_home: Path, file: str) -> None:
    path = old_home / file
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format_version": FORMAT_VERSION + 1}))
    errors = [result_of(run, settings)[1] for run in COMMANDS]
    assert any(f"{path} was written by a newer version of this project" in error for error in errors)
    assert any("Update the project" in error for error in errors)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("attribution.jsonl", "missing", "is missing"),
        ("attribution.jsonl", "pipe", "a pipe or device, not a file"),
        ("attribution.jsonl", "half", "is damaged (it is not the file that manifest.json describes)"),
        ("NOTICE.md", "missing", "is missing"),
        ("manifest.json", "half", "is damaged"),
    ],
)
def test_a_model_is_not_exported_with_a_wrong_attribution(
    settings: Settings, old_home: Path, tmp_path: Path, name: str, damage: str, said: str
) -> None:
    path, target = old_home / DATASET / name, tmp_path / "exported"
    content = path.read_bytes()
    path.unlink()
    if damage == "pipe":
        os.mkfifo(path)
    elif damage == "half":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(TuningError) as caught:
        export_model(settings, "v1", "merged", str(target))
    assert f"{path} " in str(caught.value)
    assert said in str(caught.value)
    assert not target.exists()


def test_a_damaged_card_is_one_line(settings: Settings, old_home: Path, tmp_path: Path) -> None:
    card = old_home / "models/v1/model/weights/README.md"
    card.write_bytes(card.read_bytes() + b"\x85")
    with pytest.raises(TuningError, match=rf"{card} is damaged .* Restore the model from a backup"):
        export_model(settings, "v1", "merged", str(tmp_path / "exported"))


def test_a_file_that_cannot_be_copied_is_one_line(settings: Settings, old_home: Path, tmp_path: Path) -> None:
    settings_file = old_home / "models/v1/model/weights/merged/generation_config.json"
    settings_file.unlink()
    os.mkfifo(settings_file)
    with pytest.raises(TuningError, match=rf"{settings_file}. is a named pipe"):
        export_model(settings, "v1", "merged", str(tmp_path / "exported"))


@pytest.mark.parametrize("damage", ["missing", *DAMAGES])
def test_a_lost_journal_is_an_error_until_the_champion_is_chosen_again(
    settings: Settings, old_home: Path, damage: str
) -> None:
    path = settings.models_dir / "journal.jsonl"
    content = path.read_bytes()
    path.unlink()
    change = DAMAGES.get(damage)
    if change:
        path.write_bytes(change(content))
    elif damage == "a folder":
        path.mkdir()
    for command in (registry.champion, registry.history, model_lines, registry.rollback):
        with pytest.raises(TuningError, match=r"journal\.jsonl .*invoke promote VERSION --force --reason"):
            command(settings)
    with pytest.raises(TuningError, match=r"journal\.jsonl"):
        registry.promote(settings, "v1")
    registry.promote(settings, "v1", force=True, reason="the journal was lost")
    assert [event.action for event in registry.history(settings)] == ["registered", "promoted by force"]
    assert "a new journal begins here" in registry.history(settings)[0].reason
    assert registry.champion(settings).name == "v1"
    kept = [one for one in settings.models_dir.glob("damaged-*") if one.is_file()]
    assert [one.read_bytes() for one in kept] == ([change(content)] if change else [])


def test_what_the_journal_does_not_name_does_not_exist(settings: Settings, old_home: Path) -> None:
    before = model_lines(settings)
    copied_version(settings, named=False)
    assert model_lines(settings) == before
    with pytest.raises(TuningError, match=r"no model 'v2': .*models has its folder, but the journal does not name it"):
        registry.promote(settings, "v2", force=True, reason="a trial")
    copied_version(settings, named=True)
    assert [version.name for version in registry.versions(settings)] == ["v1", "v2"]
    record = settings.models_dir / "v2" / "version.json"
    record.write_bytes(record.read_bytes().replace(b'"v2"', b'"v1"'))
    with pytest.raises(TuningError, match=r"version\.json is damaged \(it names v1\)"):
        registry.versions(settings)


def copied_version(settings: Settings, *, named: bool) -> None:
    """A copy of v1 as v2, which the journal names or not."""
    shutil.copytree(settings.models_dir / "v1", settings.models_dir / "v2", dirs_exist_ok=True)
    record = settings.models_dir / "v2" / "version.json"
    record.write_bytes(record.read_bytes().replace(b'"v1"', b'"v2"'))
    if named:
        first, *others = (settings.models_dir / "journal.jsonl").read_bytes().splitlines(keepends=True)
        lines = [first, first.replace(b'"v1"', b'"v2"'), *others]
        (settings.models_dir / "journal.jsonl").write_bytes(b"".join(lines))


def test_a_champion_whose_folder_is_lost_can_be_replaced(settings: Settings, old_home: Path) -> None:
    copied_version(settings, named=True)
    registry.promote(settings, "v2", force=True, reason="a trial")
    shutil.rmtree(settings.models_dir / "v2")
    with pytest.raises(TuningError, match="the champion v2 is missing"):
        model_lines(settings)
    registry.promote(settings, "v1", force=True, reason="v2 is lost")
    assert registry.champion(settings).name == "v1"
    assert registry.history(settings)[-1].action == "promoted by force"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_of_the_pipelines_cache_is_removed_and_named(old_home: Path, damage: str) -> None:
    cache = old_home / "pipeline" / "cache"
    for other in cache.glob("*.json"):
        other.unlink()
    entry, change = cache / "entry.json", DAMAGES[damage]
    if change:
        entry.write_bytes(change(b'{"model": {"uri": "/nowhere", "metadata": {}}}'))
    else:
        entry.mkdir()
    assert drop_broken_entries(cache) == ([] if damage == "without a key" else [entry])
    assert entry.exists() is (damage == "without a key")


@pytest.mark.parametrize("change", [{"pid": -1}, {"started_at": "yesterday"}, {"started_at": ""}])
def test_a_run_without_a_process_or_a_time_is_damaged(
    settings: Settings, old_home: Path, change: dict[str, object]
) -> None:
    path = old_home / "runs/20261129-104907-7149f2/run.json"
    running = {**json.loads(path.read_bytes()), "status": "running", "host": platform.node(), "pid": os.getpid()}
    path.write_text(json.dumps(running | change))
    for read in (lambda: read_run(path.parent), lambda: runs(settings, None)):
        with pytest.raises(TuningError, match=rf"{path} is damaged .* or delete {path.parent} to forget the run"):
            read()


def test_a_file_that_is_far_too_large_is_damaged(
    settings: Settings, old_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_home / "runs/20261129-104907-7149f2/run.json"
    os.truncate(path, 40 << 30)
    for read in (lambda: read_run(path.parent), lambda: runs(settings, None)):
        with pytest.raises(TuningError, match=r"run\.json cannot be read \(it has 42,949,672,960 bytes\)"):
            read()
    monkeypatch.setattr("tuning.records.LARGEST", 1 << 20)
    os.truncate(settings.models_dir / "journal.jsonl", 1 << 30)
    with pytest.raises(TuningError, match=r"journal\.jsonl is damaged"):
        registry.history(settings)
