"""Models from the hub: one revision, only the files that are used, and no weights that cannot fit."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.tuners.hf.hub.hub_server import HubServer, Repository
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import PACKAGE, Settings
from tuning.tuners.hf.models.base_models import NOT_ON_HUB, HubBase, find_base_model, find_tokenizer, hub_base
from tuning.tuners.hf.models.hub_models import HUB_MODELS, HubModel, HubName, parse_hub_name, table
from tuning.tuners.hf.train.recipe import Recipe, make_recipe
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions

NAME, COMMIT = "some-one/small", "0123456789abcdef0123456789abcdef01234567"
UNUSED = ("pytorch_model.bin", "consolidated.00.pth", "small.gguf", "onnx/model.onnx", "original/params.json",
          "tf_model.h5", "model-00009-of-00009.safetensors", "modeling_small.py", "training_args.json")  # fmt: skip
INDEX = "model.safetensors.index.json"


@pytest.fixture
def repository(local_model: Path, tmp_path: Path) -> Path:
    """A repository with the weights of a small model in two files, and with much that nobody needs."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "repository"
    shutil.copytree(local_model, folder)
    (folder / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(str(local_model)).save_pretrained(folder, max_shard_size="300KB")
    assert len(set(json.loads((folder / INDEX).read_text())["weight_map"].values())) > 1
    for name in UNUSED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"{}")
    return folder


@pytest.fixture
def hub(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    server = HubServer({NAME: Repository(repository, COMMIT)})
    threading.Thread(target=server.server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield server
    close_session()
    server.server.shutdown()
    server.server.server_close()


def files(hub: HubServer) -> set[str]:
    return {one.partition("/")[2].partition("/")[2] for one in hub.fetched}


def test_only_the_files_that_are_used_are_downloaded(
    hub: HubServer, repository: Path, dataset: Dataset, settings: Settings
) -> None:
    folder = find_base_model(settings, NAME, dataset)
    shards = set(json.loads((repository / INDEX).read_text())["weight_map"].values())
    assert files(hub) >= shards | {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert files(hub).isdisjoint(UNUSED)
    assert hub_base(NAME, folder) == HubBase(NAME, COMMIT)
    before = len(hub.fetched)
    assert find_base_model(settings, f"{NAME}@{COMMIT}", dataset) == folder
    assert len(hub.fetched) == before


def test_the_tokenizer_alone_needs_no_weights(hub: HubServer, settings: Settings) -> None:
    folder = find_tokenizer(settings, NAME)
    assert folder is not None
    assert (folder / "tokenizer.json").is_file()
    assert not any(name.endswith(".safetensors") for name in files(hub))


def test_a_listed_model_is_read_at_its_revision_and_a_given_revision_wins(
    hub: HubServer, dataset: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HUB_MODELS, NAME, HubModel("f" * 40, "Apache-2.0", 0.1))
    with pytest.raises(
        TuningError, match=f"the base model {NAME} has no revision '{'f' * 40}' on the Hugging Face hub"
    ):
        find_base_model(settings, NAME, dataset)
    folder = find_base_model(settings, f"{NAME}@{COMMIT}", dataset)
    assert hub_base(f"{NAME}@{COMMIT}", folder) == HubBase(NAME, COMMIT)
    assert {one.rpartition("@")[2].split("/")[0] for one in hub.fetched} == {COMMIT}
    assert parse_hub_name("other/model") == HubName("other/model", "")


def test_what_cannot_fit_is_refused_before_its_weights_are_downloaded(
    hub: HubServer, dataset: Dataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (note,) = (note for note in HfTuner().estimate(settings, dataset, TuneOptions(base_model=NAME)).notes
               if note.startswith("memory"))  # fmt: skip
    assert re.match(r"memory( on this machine)?: .* GB for weights, gradients and optimizer", note)
    free = psutil.virtual_memory()._replace(available=10**5)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    with pytest.raises(TuningError, match=r"needs more than 0\.0 GB of memory, and this machine has free 0\.0 GB"):
        HfTuner().tune(settings, dataset, TuneOptions(base_model=NAME), tmp_path / "out")
    with pytest.raises(TuningError, match=r"needs more than 0\.0 GB of memory"):
        HfTuner().estimate(settings, dataset, TuneOptions(base_model=NAME))
    assert "config.json" in files(hub)
    assert not any(name.endswith(".safetensors") for name in files(hub))


def test_an_estimate_without_the_hub_says_why_the_memory_is_unknown(
    dataset: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    notes = HfTuner().estimate(settings, dataset, TuneOptions(base_model="nobody/nothing")).notes
    assert notes[1].startswith("memory: unknown, because the base model nobody/nothing is not in the local cache")


def test_a_name_that_no_model_can_have_is_one_line(hub: HubServer, dataset: Dataset, settings: Settings) -> None:
    with pytest.raises(TuningError, match=r"'a/b\?x' cannot be the name of a model"):
        find_base_model(settings, "a/b?x@main", dataset)


def test_a_gated_model_is_one_line(hub: HubServer, dataset: Dataset, settings: Settings) -> None:
    hub.repositories[NAME].gated = True
    with pytest.raises(TuningError, match=f"the base model {NAME} requires a login and accepted terms"):
        find_base_model(settings, NAME, dataset)


@pytest.mark.parametrize("named", ["../../outside.safetensors", "weights.bin", "a/b.safetensors"])
def test_an_index_that_names_other_files_is_refused(
    named: str, hub: HubServer, repository: Path, dataset: Dataset, settings: Settings
) -> None:
    (repository / INDEX).write_text(json.dumps({"weight_map": {"a": named}}))
    with pytest.raises(TuningError, match=r"names '.*', which is no \*\.safetensors file beside it"):
        find_base_model(settings, NAME, dataset)


def test_the_list_is_well_formed_and_gives_recipes_that_options_change() -> None:
    for name, model in HUB_MODELS.items():
        assert re.fullmatch(r"[0-9a-f]{40}", model.revision)
        assert parse_hub_name(name) == HubName(name, model.revision)
        recipe = make_recipe(TuneOptions(base_model=name), preference=False)
        assert (recipe.learning_rate, recipe.batch_size) == (model.learning_rate, model.batch_size)
    assert len({model.revision for model in HUB_MODELS.values()}) == len(HUB_MODELS)
    listed = "Qwen/Qwen2.5-7B-Instruct"
    assert make_recipe(TuneOptions(base_model=f"{listed}@main", batch_size=2), preference=False).batch_size == 2
    assert make_recipe(TuneOptions(base_model="other/model"), preference=False) == Recipe()
    assert hub_base("smollm", Path()) == NOT_ON_HUB


def test_a_recipe_of_the_list_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HUB_MODELS, NAME, HubModel(COMMIT, "x", 1, learning_rate=1e-5, max_length=64, lora_rank=4))
    recipe = make_recipe(TuneOptions(base_model=NAME), preference=False)
    assert (recipe.learning_rate, recipe.max_length, recipe.lora_rank) == (1e-5, 64, 4)


def test_the_documentation_has_the_list() -> None:
    assert table() in (PACKAGE / "README.md").read_text()
