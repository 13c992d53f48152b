"""`invoke tune --from VERSION` trains the adapter of a version further."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.pipelines.artifacts import FakeArtifact, request
from tests.registry.candidates import register
from tests.tuners.tuner_datasets import write_dataset
from tuning.command_line.options import TuningOptions
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.pipelines.clean import clean
from tuning.pipelines.end_to_end import Given, preview_all, tune_all
from tuning.pipelines.plan import Plan
from tuning.pipelines.steps import tune as tune_step
from tuning.pipelines.steps.requests import (
    TuningRequest,
    dataset_arguments,
    step_settings,
    training_key,
    tuning_arguments,
)
from tuning.registry import registry
from tuning.registry.continuing import check_dataset, continue_version, with_adapter
from tuning.registry.evaluate_version import evaluate_version
from tuning.registry.model_folder import TRAINED_ON, open_model, write_training_ids
from tuning.settings import Settings
from tuning.storage import sha256_of
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import Model, TuneOptions

OPTIONS = TuneOptions(base_model="tiny", steps=4, batch_size=4, max_length=128)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("continuing") / "home", base_model="tiny")


@pytest.fixture(scope="module")
def dataset(home: Settings) -> Dataset:
    return write_dataset(home.datasets_dir / "d1", train=40, evaluation=8)


@pytest.fixture(scope="module")
def first(home: Settings, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The version v1: tiny with an adapter."""
    work = tmp_path_factory.mktemp("first") / "work"
    options = msgspec.structs.replace(OPTIONS, lora_rank=4, learning_rate=0.01)
    model = HfTuner().tune(home, dataset, options, work)
    assert register(home, model, work) == "v1"
    return model


def weights(adapter: Path) -> str:
    return sha256_of(adapter / "adapter_model.safetensors")


def test_the_training_begins_where_the_version_ended(
    home: Settings, dataset: Dataset, first: Model, tmp_path: Path
) -> None:
    options = continue_version(home, "v1", OPTIONS, None)
    check_dataset(home, options, dataset)
    asked = TuningRequest(settings=step_settings(home), tuner="hf", options=options)
    data, checked, made = FakeArtifact(dataset.folder, sha256="0"), FakeArtifact(tmp_path / "c"), tmp_path / "second"
    tune_step.validate(data, "hf", checked)
    tune_step.tune_here(
        data, checked, request(tmp_path / "t.json", asked), "code", FakeArtifact(made), FakeArtifact(tmp_path / "m")
    )
    model = open_model(made)
    before, after = (Path(one.uri).with_name("adapter") for one in (first, model))
    assert model.facts["development_loss_before"] == first.facts["development_loss"]
    assert model.facts["development_loss"] < model.facts["development_loss_before"]
    assert weights(before) != weights(after)
    recipe = model.facts["recipe"]
    assert isinstance(recipe, dict)
    assert (recipe["continues"], recipe["lora_rank"], recipe["step_size"]) == ("v1", 4, 1.0)
    assert "| continues the version | v1 |" in (made / "weights" / "README.md").read_text()
    assert str(home.home) not in (after / "adapter_config.json").read_text()


def test_a_kept_adapter_is_evaluated_and_continued(
    home: Settings, dataset: Dataset, first: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    options = msgspec.structs.replace(OPTIONS, lora_rank=4, learning_rate=0.01, keep="adapter")
    model = HfTuner().tune(home, dataset, options, work)
    name = register(home, model, work)
    write_training_ids(home.models_dir / name / "model" / TRAINED_ON, dataset.attributions("train"))
    adapters, base = [], HfTuner.base

    def seen(self: HfTuner, settings: Settings, dataset: Dataset, options: TuneOptions) -> Model:
        adapters.append(options.adapter)
        return base(self, settings, dataset, options)

    monkeypatch.setattr(HfTuner, "base", seen)
    judged = evaluate_version(home, name, "d1", 4, 0)
    assert adapters == [str(home.models_dir / name / "model" / "weights" / "adapter")]  # it names the base
    stays = home.cache_dir / "tiny"
    kept_base = [path.name for path in stays.iterdir() if path.is_dir()]
    list(clean(home, "0d", dry_run=False))
    assert [path.name for path in stays.iterdir() if path.is_dir()] == kept_base
    (loss,) = (figure for figure in judged.comparison.figures if figure.metric == "loss")
    assert loss.models["tuned"].mean < loss.models["base"].mean
    named = with_adapter(home, continue_version(home, name, OPTIONS, None))
    assert Path(named.adapter).name == "adapter"
    second = HfTuner().tune(home, dataset, named, tmp_path / "second")
    assert second.facts["development_loss_before"] == model.facts["development_loss"]


def test_the_training_key_names_the_version_and_its_content(home: Settings, dataset: Dataset, first: Model) -> None:
    named = continue_version(home, "v1", OPTIONS, "tiny")
    assert (named.continues, named.adapter) == ("v1", "")
    other = msgspec.structs.replace(named, continues_sha256="0" * 64)

    def key(options: TuneOptions) -> str:
        plan = Plan(dataset=dataset, tuner="hf", tune=options)
        written: list[bytes] = []
        arguments = tuning_arguments(home, plan, lambda name, content: written.append(content) or name)
        assert all(b"/model/" not in content for content in written)
        return training_key({**arguments, **dataset_arguments(dataset, "d1")})

    assert len({key(OPTIONS), key(named), key(other)}) == 3
    assert key(named) == key(continue_version(home, "v1", OPTIONS, None))
    with pytest.raises(TuningError, match="v1 is no longer the version that this run continues"):
        with_adapter(home, other)


def test_what_does_not_fit_the_adapter_is_one_line(
    home: Settings, dataset: Dataset, first: Model, tmp_path: Path
) -> None:
    for settings, options, base_model, said in (
        (home, OPTIONS, "smollm2", "v1 was tuned from tiny, not smollm2. Leave out --base-model"),
        (home, msgspec.structs.replace(OPTIONS, lora_rank=8), None, "with its own rank. Leave out --full and --lora"),
        (home, msgspec.structs.replace(OPTIONS, full=True), None, "with its own rank. Leave out --full and --lora"),
        (msgspec.structs.replace(home, tuner="gemini"), OPTIONS, None, "--from continues the tuner hf on this machine"),
    ):
        with pytest.raises(TuningError, match=said):
            continue_version(settings, "v1", options, base_model)
    work = tmp_path / "work"
    (work / "merged").mkdir(parents=True)
    (work / "merged" / "config.json").write_text("{}")
    whole = register(home, Model(tuner="hf", base_model="tiny", uri=str(work / "merged")), work)
    with pytest.raises(TuningError, match=f"{whole} has no adapter to continue"):
        continue_version(home, whole, OPTIONS, None)
    options = continue_version(home, "v1", OPTIONS, None)
    with pytest.raises(TuningError, match=r"so v1 continues on d1 only\. Add --dataset d1"):
        check_dataset(home, options, write_dataset(tmp_path / "d2", train=8, evaluation=2))
    with pytest.raises(TuningError, match="does not continue on pairs"):
        check_dataset(home, options, write_dataset(tmp_path / "d1", "trl-preference", train=8, evaluation=2))


def test_a_damaged_adapter_is_one_line(home: Settings, dataset: Dataset, first: Model, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(Path(first.uri).with_name("adapter"), adapter)
    os.truncate(adapter / "adapter_model.safetensors", 1_000)
    options = msgspec.structs.replace(OPTIONS, adapter=str(adapter), continues="v1")
    with pytest.raises(TuningError, match=rf"{adapter} is not an adapter that transformers can load .* restore it"):
        HfTuner().tune(home, dataset, options, tmp_path / "work")


def test_the_command_passes_the_version_on(home: Settings, dataset: Dataset, first: Model) -> None:
    given = Given(tuning=TuningOptions(lora_rank=8), dataset_id="d1", continues="v1")
    with pytest.raises(TuningError, match="trains the adapter of v1 with its own rank"):
        tune_all(home, given, print)
    kept = msgspec.structs.replace(given, tuning=TuningOptions(keep="adapter"))
    plain = msgspec.structs.replace(home, base_model=str(home.home))
    preview_all(plain, kept, [].append, 1)  # the base is that of v1, not the one of the settings
    lines: list[str] = []
    preview_all(home, msgspec.structs.replace(given, tuning=TuningOptions()), lines.append, 1)
    assert lines[0].startswith("the first of 40 training examples in ")
    assert registry.find_version(home, "v1").base_model == "tiny"
