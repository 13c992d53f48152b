"""Outputs of earlier runs: those that lost a file, and those that nothing needs."""

import json
import os
import time
from pathlib import Path

from tuning.pipelines.local.cache import drop_broken_entries, prune_outputs, prune_work
from tuning.pipelines.steps.hashing import listing_sha256
from tuning.registry.model_folder import contents_sha256


def model(folder: Path) -> Path:
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "model.bin").write_bytes(b"12345")
    (folder / "config.json").write_bytes(b"{}")
    return folder


def entry(cache: Path, name: str, output: Path) -> Path:
    cache.mkdir(exist_ok=True)
    artifact = {
        "__kfp_artifact__": True,
        "uri": str(output),
        "metadata": {"listing_sha256": listing_sha256(output)},
    }
    path = cache / f"{name}.json"
    path.write_text(json.dumps({"model": artifact, "number": 3}))
    return path


def test_an_entry_whose_output_is_whole_stays(tmp_path):
    found = entry(tmp_path / "cache", "a", model(tmp_path / "model"))
    assert drop_broken_entries(tmp_path / "cache") == []
    assert found.exists()


def test_a_lost_a_shortened_and_an_added_file_are_noticed(tmp_path):
    damages = {
        "lost": lambda folder: (folder / "weights" / "model.bin").unlink(),
        "shortened": lambda folder: (folder / "weights" / "model.bin").write_bytes(b"123"),
        "added": lambda folder: (folder / "new").write_bytes(b""),
    }
    whole = entry(tmp_path / "cache", "whole", model(tmp_path / "whole"))
    for name, damage in damages.items():
        entry(tmp_path / "cache", name, model(tmp_path / name))
        damage(tmp_path / name)
    assert sorted(path.name for path in drop_broken_entries(tmp_path / "cache")) == sorted(damages)
    assert list((tmp_path / "cache").iterdir()) == [whole]


def test_a_folder_that_is_gone_is_noticed(tmp_path):
    found = entry(tmp_path / "cache", "a", model(tmp_path / "model"))
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    assert drop_broken_entries(tmp_path / "cache") == [tmp_path / "model"]
    assert not found.exists()


def test_no_cache_is_no_error(tmp_path):
    assert drop_broken_entries(tmp_path / "none") == []


def test_contents_know_bytes_that_a_listing_does_not(tmp_path):
    one, other = model(tmp_path / "one"), model(tmp_path / "other")
    assert contents_sha256(one) == contents_sha256(other)
    (other / "weights" / "model.bin").write_bytes(b"54321")
    assert listing_sha256(one) == listing_sha256(other)
    assert contents_sha256(one) != contents_sha256(other)


def test_outputs_that_no_entry_names_are_removed_and_their_bytes_counted(tmp_path):
    root = tmp_path / "pipeline"
    entry(root / "cache", "a", model(root / "tune-2" / "tune" / "model"))
    kept = sorted(root.rglob("*"))
    model(root / "tune-1" / "tune" / "model")
    model(root / "tune-2" / "gate" / "verdict")
    other = model(root / "requests" / "champion")
    assert prune_outputs(root, "tune") == 2 * len("12345{}")
    assert sorted(root.rglob("*")) == sorted([*kept, root / "requests", other, *other.rglob("*")])
    assert prune_outputs(root, "tune") == 0


def test_a_registered_models_files_are_links_and_stay(tmp_path):
    weights = model(tmp_path / "pipeline" / "tune-1" / "tune" / "model") / "weights" / "model.bin"
    os.link(weights, tmp_path / "registered.bin")
    assert prune_outputs(tmp_path / "pipeline", "tune") == len("{}")
    assert (tmp_path / "registered.bin").read_bytes() == b"12345"


def test_a_tuning_that_nobody_went_on_with_is_removed_after_its_days(tmp_path):
    for name, days in (("old", 31), ("resumed", 31), ("new", 29)):
        folder = model(tmp_path / name)
        for path in (*folder.rglob("*"), folder):
            os.utime(path, times=(0, time.time() - days * 86_400))
    (tmp_path / "resumed" / "weights" / "checkpoint").write_bytes(b"x")
    (tmp_path / ".old.lock").write_bytes(b"")
    assert prune_work(tmp_path, 30) == len("12345{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".old.lock", "new", "resumed"]
