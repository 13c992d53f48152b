"""Download a base model from the Hugging Face hub: only the files that are used, and the weights last."""

import re
from pathlib import Path
from typing import Any

from tuning.errors import TuningError
from tuning.records import read_record
from tuning.tuners.hf.environment import go_online
from tuning.tuners.hf.models.folder_checks import INDEX, check_complete
from tuning.tuners.hf.models.hub_models import HubName, parse_hub_name

CHOICE = "Use smollm2, tiny, a local folder or a name on the Hugging Face hub"
# Repositories also have the weights in other forms: pickles, which can run code, GGUF, ONNX and those of the author.
_WEIGHTS = "model.safetensors"
_SMALL = (
    *("README.md", "config.json", "generation_config.json", INDEX),
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json"),
)


def fetch_outline(text: str) -> Path:
    """Return the folder with settings and tokenizer of the model ``NAME`` or ``NAME@REVISION``.

    Missing files go into the cache of the Hugging Face libraries, which HF_HOME can move. Raises TuningError if the
    model does not exist, is not accessible or has no settings.
    """
    folder = _download(parse_hub_name(text), list(_SMALL))
    if not (folder / "config.json").is_file():
        raise TuningError(f"the base model {text} has no config.json on the Hugging Face hub", CHOICE)
    return folder


def fetch_model(text: str) -> Path:
    """Return the folder of the model, with its weights. They are those of one commit, that of `fetch_outline`.

    Raises TuningError as `fetch_outline` does, or if there are no weights as safetensors.
    """
    folder = fetch_outline(text)
    _download(HubName(parse_hub_name(text).name, folder.name), _shards(folder))
    check_complete(folder)
    return folder


def _shards(folder: Path) -> list[str]:
    """Return the names of the files with the weights. Raises TuningError if the index names others."""
    if not (folder / INDEX).is_file():
        return [_WEIGHTS]
    try:
        index = read_record(folder / INDEX, dict[str, Any], "Use another --base-model")
        names = sorted(set(index["weight_map"].values()))
    except (KeyError, AttributeError, TypeError) as error:
        raise TuningError(f"{folder / INDEX} cannot be read ({error})", "Use another --base-model") from None
    if wrong := [name for name in names if not re.fullmatch(r"[\w.-]+\.safetensors", str(name))]:
        raise TuningError(f"{folder / INDEX} names {wrong[0]!r}, which is no *.safetensors file beside it", CHOICE)
    return names


def _download(model: HubName, files: list[str]) -> Path:
    go_online()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = model.name
    try:
        return Path(snapshot_download(name, revision=model.revision or None, allow_patterns=files))
    except GatedRepoError:
        raise TuningError(
            f"the base model {name} requires a login and accepted terms", "See its page on the Hugging Face hub"
        ) from None
    except RepositoryNotFoundError:
        raise TuningError(f"there is no base model {name!r} on the Hugging Face hub", CHOICE) from None
    except RevisionNotFoundError:
        raise TuningError(
            f"the base model {name} has no revision {model.revision!r} on the Hugging Face hub",
            "Name another one after @, or none",
        ) from None
    except HFValidationError as error:
        raise TuningError(f"{name!r} cannot be the name of a model ({str(error).splitlines()[0]})", CHOICE) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise TuningError(
            f"the base model {name} is not in the local cache and the hub does not answer ({reason})", CHOICE
        ) from None
