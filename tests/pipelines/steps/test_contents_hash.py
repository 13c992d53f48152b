"""The same training in two homes gives the same hash of its contents; a changed weight or answer does not."""

import json
from pathlib import Path

import pytest

from tuning.registry.model_folder import contents_sha256


def model(folder: Path, seconds: float) -> Path:
    weights = folder / "weights"
    (weights / "tensorboard").mkdir(parents=True)
    (weights / "merged").mkdir()
    (weights / "merged" / "README.md").write_text("part of the model")
    (weights / "merged" / "model.safetensors").write_bytes(b"12345")
    (weights / "tensorboard" / "events").write_text(str(folder))
    (weights / "finished.json").write_text(json.dumps({"uri": str(folder)}))
    (weights / "README.md").write_text(f"{seconds} s")
    (folder / "model.json").write_text(json.dumps({"uri": "weights/merged", "facts": {"seconds": seconds}}))
    return folder


def test_times_and_paths_of_the_run_do_not_count(tmp_path: Path) -> None:
    assert contents_sha256(model(tmp_path / "one", 1.0)) == contents_sha256(model(tmp_path / "two", 2.0))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("weights/merged/model.safetensors", "54321"),
        ("weights/merged/README.md", "changed"),
        ("model.json", '{"uri": "projects/1/endpoints/2", "facts": {}}'),
    ],
)
def test_the_model_itself_counts(tmp_path: Path, file: str, content: str) -> None:
    changed = model(tmp_path / "changed", 1.0)
    (changed / file).write_text(content)
    assert contents_sha256(changed) != contents_sha256(model(tmp_path / "one", 1.0))
