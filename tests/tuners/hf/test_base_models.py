import os
import shutil
from pathlib import Path

import pytest

from tests.tuners.tuner_datasets import write_dataset
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import sha256_of
from tuning.tuners.hf.models.base_models import find_base_model
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions


def test_tiny_is_the_same_bytes_for_the_same_train_split(dataset: Dataset, tmp_path: Path) -> None:
    first = find_base_model(Settings(home=tmp_path / "one"), "tiny", dataset)
    second = find_base_model(Settings(home=tmp_path / "two"), "tiny", dataset)
    for name in ("tokenizer.json", "model.safetensors"):
        assert sha256_of(first / name) == sha256_of(second / name)


def test_tiny_is_made_again_if_a_file_of_it_is_gone_or_changed(
    dataset: Dataset, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = find_base_model(settings, "tiny", dataset)
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"} < made.keys()
    (folder / "chat_template.jinja").unlink()
    for name in ("model.safetensors", "made.json"):
        assert find_base_model(settings, "tiny", dataset) == folder
        assert (
            f"note: the files in {folder} have changed, or made.json is gone, so they are made again"
            in capsys.readouterr().out
        )
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == made
        (folder / name).write_bytes(made[name][:-9])
    find_base_model(settings, "tiny", dataset)
    find_base_model(settings, "tiny", dataset)
    assert capsys.readouterr().out.count("made again") == 1


@pytest.mark.parametrize(
    "kind", ["file", "pipe", "link to a changed folder", "dangling link", "dangling seal", "no seal"]
)
def test_tiny_is_made_again_if_something_else_is_in_its_place(
    kind: str, dataset: Dataset, settings: Settings, tmp_path: Path
) -> None:
    folder = find_base_model(settings, "tiny", dataset)
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    (elsewhere / "config.json").write_text("{}")
    if kind == "file":
        folder.write_text("x")
    elif kind == "pipe":
        os.mkfifo(folder)
    elif kind in ("dangling seal", "no seal"):
        elsewhere.rename(folder)
        (folder / "made.json").unlink()
        if kind == "dangling seal":
            (folder / "made.json").symlink_to("nowhere")
    else:
        folder.symlink_to(elsewhere if kind == "link to a changed folder" else tmp_path / "nowhere")
    assert find_base_model(settings, "tiny", dataset) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made
    assert not folder.is_symlink()


def test_tiny_is_another_for_another_train_split(dataset: Dataset, settings: Settings, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other", train=81)
    assert find_base_model(settings, "tiny", dataset) != find_base_model(settings, "tiny", other)


def test_a_local_folder_serves_as_it_is(dataset: Dataset, local_model: Path, settings: Settings) -> None:
    assert find_base_model(settings, str(local_model), dataset) == local_model
    model = HfTuner().base(settings, dataset, TuneOptions(base_model=str(local_model)))
    assert model.uri == str(local_model)


@pytest.mark.parametrize(
    ("lost", "what"),
    [
        ("config.json", "config.json"),
        ("tokenizer.json", "a tokenizer"),
        ("model.safetensors", "weights as *.safetensors"),
    ],
)
def test_a_folder_that_lacks_a_part_is_one_line(
    lost: str, what: str, dataset: Dataset, local_model: Path, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "partly"
    shutil.copytree(local_model, folder)
    (folder / lost).unlink()
    with pytest.raises(TuningError) as caught:
        find_base_model(settings, str(folder), dataset)
    assert (
        str(caught.value) == f"the base model folder {folder} does not contain {what}. Save model and tokenizer in it"
    )


@pytest.mark.parametrize("name", ["smollm", "./no/such/folder", "/no/such/folder", "a/b/c"])
def test_an_unknown_base_model_is_one_line(name: str, dataset: Dataset, settings: Settings) -> None:
    with pytest.raises(TuningError) as caught:
        find_base_model(settings, name, dataset)
    assert str(caught.value) == (
        f"there is no base model {name!r}. Use smollm2, tiny, a local folder or a name on the Hugging Face hub"
    )


def test_a_hub_name_that_cannot_be_had_offline_is_one_line(
    dataset: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TuningError, match="nobody/nothing is not in the local cache and the hub does not answer"):
        find_base_model(settings, "nobody/nothing", dataset)
