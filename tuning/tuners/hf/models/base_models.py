"""Where a base model's files lie: `smollm2`, `tiny`, a local folder, or a name on the Hugging Face hub."""

from pathlib import Path
from typing import Any

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.tuners.hf.environment import go_online, set_up_libraries
from tuning.tuners.hf.models import smollm2
from tuning.tuners.hf.models.tiny import make_tiny

_CHOICE = "Take smollm2, tiny, a local folder or a name on the Hugging Face hub"
# No pickled weights: they run code when they are loaded.
_PATTERNS = ["README.md", "*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]


def find_base_model(settings: Settings, name: str, dataset: Dataset) -> Path:
    """The local folder of the base model `name`, fetched or made first where needed.

    `dataset`'s train split is what `tiny` is made from. Raises TuningError for a model that is nowhere.
    """
    return make_tiny(settings, dataset) if name == "tiny" else _find(settings, name)


def find_tokenizer(settings: Settings, name: str) -> Path | None:
    """The folder whose `tokenizer.json` counts the tokens of the model `name`, which is fetched first where needed.

    None where the model has no such file, or only a dataset makes it (`tiny`).
    """
    if name == "tiny":
        return None
    with in_one_line():
        folder = _find(settings, name)
    return folder if (folder / "tokenizer.json").is_file() else None


def _find(settings: Settings, name: str) -> Path:
    if name == "smollm2":
        return smollm2.fetch(settings)
    if Path(name).expanduser().is_dir():
        return _checked_folder(Path(name).expanduser().absolute())
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise TuningError(f"there is no base model {name!r}", _CHOICE)
    return _from_hub(name)


def license_of(name: str, folder: Path) -> str:
    """The base model's licence as far as its files say it."""
    if name == "smollm2":
        return smollm2.LICENSE
    if name == "tiny":
        return "Apache-2.0"
    card = folder / "README.md"
    if card.exists():
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("license:"):
                return line.removeprefix("license:").strip()
    return "unknown"


def describe_base(name: str) -> str:
    """The base model in words, for cards and reports."""
    match name:
        case "smollm2":
            return smollm2.NOTE
        case "tiny":
            return "a small Llama with random weights, made from the train split: a smoke test, no word on quality"
        case _:
            return name


def load_tokenizer(folder: Path) -> Any:
    set_up_libraries()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    if tokenizer.eos_token_id is None:
        raise TuningError(f"the tokenizer in {folder} has no end-of-text token", "Take another --base-model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: Path, dtype: Any) -> Any:
    """The model in evaluation mode on the CPU; `dtype` is torch's, or "auto" for that of the files."""
    set_up_libraries()
    from transformers import AutoModelForCausalLM

    try:
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TuningError(f"{folder} is not a model that transformers can load ({reason})", _CHOICE) from None
    return model.eval()


def _checked_folder(folder: Path) -> Path:
    wanted = {
        "config.json": ["config.json"],
        "a tokenizer": ["tokenizer.json", "tokenizer.model", "vocab.json"],
        "weights as *.safetensors": ["*.safetensors"],
    }
    for what, patterns in wanted.items():
        if not any(next(folder.glob(pattern), None) for pattern in patterns):
            raise TuningError(f"the base model folder {folder} lacks {what}", "Save model and tokenizer into it")
    return folder


def _from_hub(name: str) -> Path:
    """Download into the hub's own cache (HF_HOME moves it) what is not there yet."""
    go_online()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        folder = snapshot_download(name, allow_patterns=_PATTERNS)
    except GatedRepoError:
        raise TuningError(f"the base model {name} asks for a login and a consent", "See its page on the hub") from None
    except RepositoryNotFoundError:
        raise TuningError(f"there is no base model {name!r} on the Hugging Face hub", _CHOICE) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise TuningError(
            f"the base model {name} is not in the local cache and the hub does not answer ({reason})", _CHOICE
        ) from None
    return _checked_folder(Path(folder))
