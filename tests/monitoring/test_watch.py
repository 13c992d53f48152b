"""Test what `invoke monitor` compares, and that it says so."""

import os
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from tests.pipelines.small_dataset import write_dataset
from tests.test_command_line import invoke
from tuning.dataset.dataset import MANIFEST, datasets
from tuning.dataset.formats.records import Format
from tuning.errors import TuningError
from tuning.monitoring.watch import in_lines, watch
from tuning.registry import registry
from tuning.settings import Settings
from tuning.site.drift_page import write_drift_page
from tuning.storage import write_json

PYTHON = {"site": "stackoverflow", "variables": '{"since": "2020-01-01"}'}


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    champion_is(monkeypatch, None)
    return settings


def champion_is(monkeypatch: pytest.MonkeyPatch, dataset_id: str | None) -> None:
    version = SimpleNamespace(name="v1", dataset_id=dataset_id, base_model="tiny", created_at="2026-01-01")
    monkeypatch.setattr(registry, "champion", lambda _: version if dataset_id else None)


def add(settings: Settings, name: str, age: int, build: dict[str, object], format_: Format = "messages") -> None:
    """Write a dataset that was made `age` days ago."""
    dataset = write_dataset(settings.datasets_dir / name, train=20, evaluation=10, format_=format_)
    manifest = msgspec.structs.replace(dataset.manifest, build=build)
    write_json(dataset.folder / MANIFEST, msgspec.to_builtins(manifest))
    os.utime(dataset.folder, (1_700_000_000 - age * 86_400,) * 2)


def test_without_a_champion_it_is_the_newest_dataset_that_was_made_alike(home: Settings) -> None:
    add(home, "now", 0, PYTHON)
    add(home, "elsewhere", 1, PYTHON | {"site": "cardano"})
    add(home, "notebook", 2, PYTHON, "notebook")
    add(home, "before", 3, PYTHON)
    assert in_lines(watch(home, "", "", 0))[:2] == [
        "dataset now (30 examples) against before (30 examples), the newest other one that was made alike "
        "(there is no champion)",
        "0 examples are new, 0 are gone",
    ]


def test_without_a_champion_datasets_of_another_kind_are_not_compared_unless_named(home: Settings) -> None:
    add(home, "now", 0, {"site": "cardano", "variables": '{"since": "2021-01-01"}'})
    add(home, "before", 1, PYTHON)
    different = "site stackoverflow, now cardano; since 2020-01-01, now 2021-01-01"
    assert in_lines(watch(home, "", "", 0))[:2] == [
        "dataset now: nothing to compare with, because there is no champion, and all other datasets were made "
        f"differently. The newest of them, before: {different}. `invoke monitor --reference before` compares them "
        "anyway",
        "",
    ]
    assert in_lines(watch(home, "", "before", 0))[:2] == [
        "dataset now (30 examples) against before (30 examples), which --reference names",
        f"warning: they were made differently, which changes the examples too: {different}",
    ]


def test_the_champions_dataset_is_the_reference_however_it_was_made(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(home, "now", 0, PYTHON)
    add(home, "newer", 1, PYTHON)
    add(home, "of-champion", 2, PYTHON, "notebook")
    champion_is(monkeypatch, "of-champion")
    lines = in_lines(watch(home, "", "", 0))
    assert lines[0].endswith("against of-champion (30 examples), which the champion v1 was tuned on")
    assert lines[1] == (
        "warning: they were made differently, which changes the examples too: format notebook, now messages"
    )
    champion_is(monkeypatch, "now")
    assert in_lines(watch(home, "", "", 0))[0] == (
        "dataset now: nothing to compare with, because the champion v1 was tuned on it. "
        "Run `invoke dataset` after loading newer data"
    )
    champion_is(monkeypatch, "deleted")
    assert in_lines(watch(home, "", "", 0))[0].endswith(
        "(the dataset of the champion v1, deleted, is not in this home)"
    )


def test_datasets_of_other_files_are_not_alike(home: Settings) -> None:
    add(home, "now", 0, {"files": [{"name": "b.jsonl"}]})
    add(home, "before", 1, {"files": [{"name": "a.jsonl"}]})
    assert "own files a.jsonl, now b.jsonl" in in_lines(watch(home, "", "", 0))[0]


def test_other_weights_of_files_make_another_dataset_and_repeated_rows_are_explained(
    home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    half, twice = ({"files": [{"name": "a.jsonl", "weight": weight}]} for weight in (0.5, 2.0))
    add(home, "now", 0, twice)
    add(home, "before", 1, half)
    add(home, "plain", 2, {"files": [{"name": "a.jsonl", "weight": 1.0}]})
    note = "The measures count a row as often as the weight of its file repeats it; the numbers of examples, once."
    different = "warning: they were made differently, which changes the examples too: own files a.jsonl"
    for reference, shown in (("before", "=0.5"), ("plain", "")):
        lines = in_lines(watch(home, "now", reference, 0))
        assert lines[1] == f"{different}{shown}, now a.jsonl=2"
        assert lines[3] == note
    assert note not in in_lines(watch(home, "before", "plain", 0))
    champion_is(monkeypatch, "before")
    write_drift_page(tmp_path, home, datasets(home), {"root": "", "here": "", "docs": "", "dataset_ids": set()})
    assert (tmp_path / "drift.html").read_text().count(f"now a.jsonl=2. {note}") == 1


def test_a_dataset_alone_has_nothing_to_be_compared_with(home: Settings) -> None:
    add(home, "now", 0, PYTHON)
    assert in_lines(watch(home, "", "", 0))[0] == (
        "dataset now: nothing to compare with, because there is no champion, and it is the only dataset with examples"
    )
    with pytest.raises(TuningError):
        in_lines(watch(home, "", "none", 0))


@pytest.mark.parametrize(
    ("site", "options", "train", "status"),
    [("stackoverflow", (), 190, 3), ("cardano", ("before",), 190, 0), ("stackoverflow", (), 20, 0)],
)
def test_a_large_dataset_that_moved_far_gives_the_status_3_if_it_was_made_alike(
    settings: Settings, site: str, options: tuple[str, ...], train: int, status: int
) -> None:
    for name, tag, build in (("before", "python", PYTHON | {"site": site}), ("now", "pandas", PYTHON)):
        dataset = write_dataset(settings.datasets_dir / name, train=train, evaluation=10, tag=tag)
        manifest = msgspec.structs.replace(dataset.manifest, build=build)
        write_json(dataset.folder / MANIFEST, msgspec.to_builtins(manifest))
    reference = ("--reference", *options) if options else ()
    result = invoke("monitor", "--dataset", "now", *reference, TUNING_HOME=str(settings.home))
    assert (result.returncode, result.stderr) == (status, "")
    assert [line for line in result.stdout.splitlines() if line.startswith("tags") and line.endswith("far")]
    assert ("Run `invoke tune` to tune a challenger" in result.stdout) is (status == 3)
