"""Versions of small models, tuned and registered as the pipeline does it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.candidates import register
from tests.tuners.threads import one_thread
from tests.tuners.tuner_datasets import write_dataset
from tuning.dataset.dataset import Dataset
from tuning.settings import Settings
from tuning.tuners.hf.models.adapted import name_of
from tuning.tuners.hf.models.base_models import hub_base, load_model, load_tokenizer
from tuning.tuners.hf.models.tiny import make_tiny
from tuning.tuners.protocol import Model

HUB_NAME, REVISION = "some-one/small", "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True, scope="module")
def on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("sharing") / "home")


@pytest.fixture(scope="module")
def dataset(home: Settings) -> Dataset:
    """A dataset in the home, which find_dataset finds."""
    made = write_dataset(home.datasets_dir / "d1", train=40, evaluation=8)
    (made.folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\n# Invented questions\n")
    (made.folder / "card.html").write_text("<p>")
    (made.folder / "NOTICE.md").write_text("# Licence and attribution\n")
    return made


def write_small_model(folder: Path, tokenizer: object, vocabulary: int) -> None:
    """A Llama of random weights that gives other answers to other questions."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,  # type: ignore[attr-defined]
        pad_token_id=tokenizer.pad_token_id,  # type: ignore[attr-defined]
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def hub_cache(home: Settings, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of the Hugging Face libraries with one model, as a download leaves it; the hub is not asked."""
    cache = tmp_path_factory.mktemp("hub")
    model = cache / f"models--{HUB_NAME.replace('/', '--')}"
    tokenizer = load_tokenizer(make_tiny(home, dataset))
    write_small_model(model / "snapshots" / REVISION, tokenizer, len(tokenizer))
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(REVISION)
    with pytest.MonkeyPatch.context() as patch:
        from huggingface_hub import constants

        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield cache


def tuned(base_model: str, folder: Path, work: Path, *, keeps_adapter: bool = False) -> Model:
    """What the tuner hf writes to `work` for the base in `folder`, with an adapter of random weights."""
    import torch
    from peft import LoraConfig, get_peft_model

    from tuning.tuners.hf.train.saving import save_adapter

    torch.manual_seed(1)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    model = get_peft_model(load_model(folder, torch.float32), config)
    kept = name_of(base_model, folder, "d1") if keeps_adapter else None
    save_adapter(model, load_tokenizer(folder), folder, work, 0.5, hub_base(base_model, folder), kept)
    (work / "README.md").write_text(f"---\nlicense: other\n---\n# {base_model}, tuned on dataset d1\n")
    uri = work / ("adapter" if kept else "merged")
    return Model(tuner="hf", base_model=base_model, uri=str(uri), facts={"license": "unknown", "parameters": 1e5})


@pytest.fixture(scope="module")
def snapshot(hub_cache: Path) -> Path:
    """The folder of the base on the hub."""
    return hub_cache / f"models--{HUB_NAME.replace('/', '--')}" / "snapshots" / REVISION


@pytest.fixture(scope="module")
def version(home: Settings, snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version with an adapter for a base on the hub."""
    work = tmp_path_factory.mktemp("tuned") / "work"
    return register(home, tuned(HUB_NAME, snapshot, work), work)
