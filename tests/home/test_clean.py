"""`invoke clean` deletes what nothing needs, and nothing else."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from tests.pipelines.small_dataset import write_dataset
from tests.sources.loaded import read_origin
from tuning.dataset.dataset import find_dataset
from tuning.errors import TuningError
from tuning.evaluation.options import EvaluationOptions, GateOptions
from tuning.pipelines.clean import clean
from tuning.pipelines.local.run import run_local
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.record import read_run, start_run, write_run
from tuning.registry import registry
from tuning.registry.listing import history_lines, model_lines
from tuning.settings import PROJECT_ROOT, Settings
from tuning.sources.load_sample import load_sample
from tuning.tuners.protocol import TuneOptions
from tuning.values import Age, convert

RUN = "20261129-104907-7149f2"


def tree(home: Path) -> dict[str, bytes]:
    files = (path for path in sorted(home.rglob("*")) if path.is_file() and not path.name.endswith(".lock"))
    return {str(path.relative_to(home)): path.read_bytes() for path in files}


def lines(settings: Settings, older_than: str = "0d", dry_run: bool = False) -> list[str]:
    return list(clean(settings, older_than, dry_run=dry_run))


def write(path: Path, content: bytes = b"12345") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def left_overs(old_home: Path) -> list[Path]:
    """What killed commands leave in a home."""
    return [
        write(old_home / "runs" / RUN / "scratch" / "tmp" / "file"),
        write(old_home / "datasets" / ".abc.x1.tmp" / "train.jsonl"),
        write(old_home / "snapshots" / ".abc.x1.tmp" / "part-00000.parquet"),
        write(old_home / "models" / ".v2.x1.tmp" / "model" / "model.json"),
        write(old_home / "models" / "v1" / ".version.json.x1.tmp"),
        write(old_home / "sources" / "posts.parquet"),
        write(old_home / "gcs" / "tuning" / "load" / "here" / "part-00000.parquet"),
        write(old_home / "gcs" / "tuning" / "snapshots" / "abc" / "1" / ".2.parquet"),
        write(old_home / "cache" / ".fetch-x1" / "wheel"),
        write(old_home / "pipeline" / "tune-python-qa-2026-1" / "tune" / "model" / "weights"),
        write(old_home / "work" / "key" / "checkpoints" / "checkpoint-1" / "model"),
        write(old_home / "datasets" / ".abc.parts" / "1.data"),
        write(old_home / "uploads" / "abc"),
        write(old_home / "runs" / "20260101-000000-failed" / "pipeline.log"),
        write(old_home / "models" / "v2" / "version.json"),  # a registration that was killed
        write(old_home / "cache" / "models" / "abc" / "model.json"),
        write(old_home / "cache" / "reports" / "20260101-000000-abc.html"),
    ]


def test_a_dry_run_counts_and_changes_nothing(settings: Settings, old_home: Path, left_overs: list[Path]) -> None:
    before = tree(old_home)
    printed = lines(settings, dry_run=True)
    assert tree(old_home) == before
    counts = {line[:48].strip(): int(line[48:56]) for line in printed}
    assert counts["temporary files of killed commands"] == 10
    assert counts["unfinished tunings"] == counts["unfinished registrations"] == 1
    assert counts["runs without a report"] == 1
    assert counts["would be deleted"] == sum(counts.values()) - counts["would be deleted"]


def test_what_is_needed_or_cannot_be_made_again_stays(
    settings: Settings, old_home: Path, left_overs: list[Path]
) -> None:
    results = ("comparison.json", "verdict.json")  # runs of today's version have them
    for name in results:
        write(old_home / "runs" / RUN / name)
    before, shown = tree(old_home), model_lines(settings) + history_lines(settings)
    lines(settings)
    assert [path for path in left_overs if path.exists()] == []
    after = tree(old_home)
    kept = ("models/", "datasets/", "snapshots/", "warehouse/", "dbt/", "pipeline/cache/", f"runs/{RUN}/r")
    gone = {name for name in before if name not in after and "tmp" not in name and ".parts" not in name}
    assert {name for name in gone if name.startswith(kept)} == {
        *(f"runs/{RUN}/request.json", f"runs/{RUN}/result.json", "models/v2/version.json")
    }
    assert {name: after[name] for name in after} == {name: before[name] for name in after}
    assert {f"runs/{RUN}/{name}" for name in ("run.json", "report.html", "report.md", *results)} <= after.keys()
    assert model_lines(settings) + history_lines(settings) == shown
    assert lines(settings) == [f"{'deleted':48} {0:>6,} {0:>12,.1f} MB"]


def test_nothing_is_deleted_through_a_link(settings: Settings, old_home: Path, tmp_path: Path) -> None:
    precious = [
        write(tmp_path / "elsewhere" / name) for name in ("scratch/file", "report.html", "pipeline.log", ".x.tmp")
    ]
    links = ("runs/20200101-000000-aaaaaa", "runs/20200101-000000-bbbbbb/scratch", "work/key", "datasets/.abc.parts")
    for name in links:
        (old_home / name).parent.mkdir(exist_ok=True)
        (old_home / name).symlink_to(tmp_path / "elsewhere")
    for path in (*precious, *(path.parent for path in precious)):
        os.utime(path, (0, 0))
    lines(settings)
    assert [path.read_bytes() for path in precious] == [b"12345"] * 4


def test_what_is_younger_than_the_age_stays(settings: Settings, old_home: Path, left_overs: list[Path]) -> None:
    lines(settings, "30d")
    stay = {path.relative_to(old_home).parts[0] for path in left_overs if path.exists()}
    assert stay == {"work", "datasets", "runs", "models", "cache"}
    old = time.time() - 31 * 86_400
    for path in (old_home / "work").rglob("*"):
        os.utime(path, (old, old))
    os.utime(old_home / "work" / "key", (old, old))
    lines(settings, "30d")
    assert not (old_home / "work" / "key").exists()


@pytest.mark.parametrize("lock", ["pipeline/.lock", "models/.lock", "datasets/.d1.lock", "sources.lock"])
def test_nothing_is_deleted_while_another_command_works(
    settings: Settings, old_home: Path, left_overs: list[Path], lock: str
) -> None:
    holding = f"import filelock; lock = filelock.FileLock({str(old_home / lock)!r}); lock.acquire(); print(1); input()"
    before = tree(old_home)
    with subprocess.Popen(
        [sys.executable, "-uc", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(TuningError, match=rf"in use by another process \(lock file .*{lock}"):
            lines(settings)
        counted = {line[:48].strip(): line for line in lines(settings, dry_run=True)}
        folder = f"{Path(lock).parts[0]}/"
        (note,) = (line for line in counted.values() if line.startswith("another command is at work in this home"))
        assert folder.replace(".lock", "") in note
        assert ("unfinished registrations" in counted) is (folder != "models/")
        assert ("outputs that the cache does not use" in counted) is (folder != "pipeline/")
        assert tree(old_home) == before
        other.communicate("\n")
    lines(settings)
    assert [path for path in left_overs if path.exists()] == []


def test_the_files_of_a_run_in_progress_stay(settings: Settings) -> None:
    folder, record = start_run(settings, "hello")
    scratch = write(folder / "scratch" / "tmp" / "file")
    assert (record.pid, record.host) == (os.getpid(), platform.node())
    lines(settings)
    assert scratch.exists()
    write_run(settings, folder, msgspec.structs.replace(record, status="failed"))
    lines(settings)
    assert not folder.exists()


def test_a_killed_clean_leaves_no_half_and_the_next_one_ends_it(
    settings: Settings, old_home: Path, left_overs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.rmtree
    for allowed in range(6):
        calls = iter(range(100))

        def killed(path: Path, **options: object) -> None:
            if next(calls) >= allowed:  # noqa: B023 - called in this round only
                raise KeyboardInterrupt
            real(path, **options)

        monkeypatch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            lines(settings)
        assert find_dataset(settings).id == "6e92baf9494158d6"
        assert model_lines(settings)
    monkeypatch.setattr(shutil, "rmtree", real)
    lines(settings)
    assert [path for path in left_overs if path.exists()] == []
    assert [path for path in old_home.rglob("*.tmp") if "work" in path.parts or "runs" in path.parts] == []


@pytest.mark.parametrize("age", ["30", "d", "-1d", "30 days", "", "1y"])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    said = "takes a number of hours, days or weeks: 12h, 30d or 4w, not " if age else "must not be empty"
    with pytest.raises(ValueError, match=said):
        convert(age, Age)


def test_an_empty_home_has_nothing_to_delete(settings: Settings) -> None:
    assert lines(settings) == [f"{'deleted':48} {0:>6,} {0:>12,.1f} MB"]
    assert not settings.home.exists()


def test_an_old_dataset_goes_only_if_a_command_can_make_it_again(with_warehouse: Settings, old_home: Path) -> None:
    settings = with_warehouse
    load_sample(settings, 20)
    origin = read_origin(settings)
    assert origin is not None
    source, now = settings.datasets_dir / "6e92baf9494158d6", time.time()
    for number, (name, changes) in enumerate(
        {
            "same": msgspec.to_builtins(origin),
            "other": {**msgspec.to_builtins(origin), "digest": "of another dump"},
            "edited": msgspec.to_builtins(origin),
            "newest": msgspec.to_builtins(origin),
        }.items()
    ):
        folder = settings.datasets_dir / name
        shutil.copytree(source, folder)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest |= {"id": name, "build": {**manifest["build"], **changes}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        if name == "edited":
            write(folder / "train.jsonl", (folder / "train.jsonl").read_bytes() + b"\n")
        os.utime(folder, (now - 40 * 86_400 + number, now - 40 * 86_400 + number))
    os.utime(source, (now - 50 * 86_400, now - 50 * 86_400))
    printed = lines(settings, "30d")
    assert {path.name for path in settings.datasets_dir.glob("[!.]*")} == {source.name, "other", "edited", "newest"}
    assert f"{'datasets':48}      1" in "\n".join(printed)
    assert "1 old datasets and snapshots stay, because the warehouse now contains other data" in printed


@pytest.mark.slow
def test_a_run_after_clean_reuses_what_the_run_before_it_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT))
    dataset = write_dataset(settings.datasets_dir / "d1")

    def run():
        return run_local(
            settings,
            Plan(
                dataset=dataset,
                tuner="tests.pipelines.character_tuner:CharacterTuner",
                tune=TuneOptions(base_model="characters"),
                evaluation=EvaluationOptions(answers=2, suite=""),
                gate=GateOptions(resamples=200),
            ),
            show=lambda _: None,
        )

    first = run()
    registry.promote(settings, "v1", force=True, reason="a trial")
    lines(settings)
    assert read_run(first.folder).version == "v1"
    assert first.report.exists()
    second = run()
    assert {step.name for step in second.steps if not step.cached} <= {"evaluate-champion", "compare", "gate", "report"}
    lines(settings)
    assert {step.name for step in run().steps if not step.cached} == set()
    assert registry.champion(settings).name == "v1"
