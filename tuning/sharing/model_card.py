"""Write the card and the licence notice of an exported model."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.dataset.dataset import ATTRIBUTION, Dataset
from tuning.dataset.formats.codec import as_question
from tuning.errors import TuningError
from tuning.registry.records import Version
from tuning.tuners.hf.models.base_models import HubBase, describe_base
from tuning.visible import visible

DATA = "training_data"  # folder with the attribution and the notice of the dataset
_QUESTION, _OWN_QUESTION = "How do I read a file line by line?", "YOUR QUESTION"
# An older version of transformers does not know `dtype`.
_ASKING = "Ask with transformers 5, with the instruction of the training and greedy decoding. FOLDER is this folder:"
_TOKENS = 256  # of an answer at most: a model that repeats itself would go on to the end of its context
_FRONT_MATTER = re.compile(r"\A---\n(.*?)^---\n", re.DOTALL | re.MULTILINE)
_LIBRARIES = {"merged": "transformers", "adapter": "peft", "gguf": "llama.cpp"}


@dataclass(frozen=True)
class Exported:
    """Hold what the texts of an exported model say."""

    version: Version
    form: str  # merged, adapter or gguf
    base: HubBase
    licence: str  # of the base model
    dataset: Dataset | None  # None if it is not in this home
    is_small: bool  # fp32, exact on a CPU, is cheap enough

    @property
    def base_in_words(self) -> str:
        """Return the base model without the path of a machine."""
        name = self.version.base_model
        return f"a local folder named {Path(name).name}" if Path(name).is_absolute() else describe_base(name)


def card(exported: Exported, training_card: Path) -> str:
    """Return the README as Markdown: the card that was written at the training, and how to load this form.

    Raises TuningError if `training_card` is missing or damaged.
    """
    version = exported.version
    if not training_card.is_file():
        raise TuningError(f"the files of {version.name} have no card ({training_card})", "Tune the model again")
    try:
        told = _FRONT_MATTER.sub("", training_card.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise TuningError(f"{training_card} is damaged ({error})", "Restore the model from a backup") from None
    if Path(version.base_model).is_absolute():
        told = told.replace(version.base_model, Path(version.base_model).name)
    verdict = f"The release gate says *{version.verdict.status}*: {'; '.join(version.verdict.reasons)}."
    return visible(f"---\n{_front_matter(exported)}---\n{told}\n## Verdict\n{verdict}\n\n## Use\n{_usage(exported)}")


def front_matter(text: str) -> dict[str, Any]:
    """Return the metadata of a card, which are empty if it has none. Raises TuningError if they are not valid YAML."""
    import yaml

    found = _FRONT_MATTER.match(text)
    try:
        fields = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError as error:
        raise TuningError(f"the metadata of the card are not valid YAML ({error})", "Correct README.md") from None
    return fields if isinstance(fields, dict) else {}


def notice(exported: Exported) -> str:
    """Return the notice as Markdown: the licences of the base model and the training data."""
    version, base = exported.version, exported.base
    where = f" (https://huggingface.co/{base.name})" if base.name else ""
    lines = [
        "# Licences",
        "",
        f"This model was tuned from {exported.base_in_words}{where}. The base model's licence is {exported.licence}."
        + (" Add a copy of it before you share the model." if exported.licence.lower() != "apache-2.0" else ""),
        "",
        f"It was tuned on the dataset {version.dataset_id}. It is not settled what the licence of the training text "
        "requires of a model.",
    ]
    if exported.dataset and _is_own(version):
        lines += [
            "The text is own data, whose licence is not known here, so check it before you share the model. "
            f"`{DATA}/NOTICE.md` names the files and states the changes.",
        ]
    elif exported.dataset:
        build = exported.dataset.manifest.build
        licence = build.get("license") or f"named in {ATTRIBUTION}"
        lines += [
            f"The text is from {exported.dataset.manifest.source_name}. Its licence is {licence}. "
            f"`{DATA}/{ATTRIBUTION}` names the authors, links and licences of all examples. "
            f"`{DATA}/NOTICE.md` states the changes.",
        ]
    return "\n".join([*lines, ""])


def _front_matter(exported: Exported) -> str:
    """Return the metadata that the hub reads: https://huggingface.co/docs/hub/model-cards."""
    import yaml

    fields: dict[str, Any] = {"license": exported.licence.lower(), "library_name": _LIBRARIES[exported.form]}
    if exported.base.name:
        relation = "adapter" if exported.form == "adapter" else "finetune"
        fields |= {"base_model": exported.base.name, "base_model_relation": relation}
    fields["pipeline_tag"] = "text-generation"
    tags = [] if _is_own(exported.version) else ["python", "stack-exchange"]
    if tags := [*tags, *(["gguf"] if exported.form == "gguf" else [])]:
        fields["tags"] = tags
    text: str = yaml.safe_dump(fields, sort_keys=False)
    return text


def _usage(exported: Exported) -> str:
    return "\n".join(
        {"merged": _with_transformers, "adapter": _with_peft, "gguf": _with_llama_cpp}[exported.form](exported)
    )


def _is_own(version: Version) -> bool:
    """Return whether the version was tuned on own data, about which nothing is known."""
    return version.body == "text"


def _question(version: Version) -> str:
    return _OWN_QUESTION if _is_own(version) else _QUESTION


def _conversation(version: Version) -> str:
    prompt = as_question(version.format, version.template, _question(version), "", version.body)
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    return json.dumps(messages, ensure_ascii=False, indent=4)


def _answering(version: Version) -> Iterator[str]:
    yield f"messages = {_conversation(version)}"
    yield "streamer = TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)  # prints each word at once"
    yield 'options = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}'
    yield "inputs = tokenizer.apply_chat_template(messages, **options)"
    yield f"output = model.generate(**inputs, max_new_tokens={_TOKENS}, do_sample=False, streamer=streamer)"
    yield "```"


def _arguments(exported: Exported) -> str:
    """Return what loads the model. A small one gets fp32, exact on a CPU: many CPUs only emulate the files' type."""
    return '"FOLDER", dtype="float32"' if exported.is_small else '"FOLDER"'


def _with_transformers(exported: Exported) -> Iterator[str]:
    yield _ASKING
    yield ""
    yield "```python"
    yield "from transformers import AutoModelForCausalLM, AutoTokenizer, TextStreamer"
    yield ""
    yield f"model = AutoModelForCausalLM.from_pretrained({_arguments(exported)})"
    yield 'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    yield from _answering(exported.version)


def _with_peft(exported: Exported) -> Iterator[str]:
    base = exported.base
    revision = f"at revision `{base.revision}`" if base.revision else "(its revision is unknown)"
    yield f"The base is `{base.name}` {revision}."
    if exported.version.base_model == "smollm2":
        yield "The adapter was trained on that model's weights in 4 bits, converted to bfloat16, so answers on the"
        yield "original differ a little from those that were evaluated. The merged form has the evaluated weights."
    yield _ASKING
    yield ""
    yield "```python"
    yield "from peft import AutoPeftModelForCausalLM"
    yield "from transformers import AutoTokenizer, TextStreamer"
    yield ""
    yield f"model = AutoPeftModelForCausalLM.from_pretrained({_arguments(exported)})"
    yield 'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    yield from _answering(exported.version)


def _with_llama_cpp(exported: Exported) -> Iterator[str]:
    yield "The `Modelfile` holds the prompt of the training and asks for greedy decoding:"
    yield ""
    yield "```text"
    yield "ollama create python-qa -f Modelfile"
    yield f'ollama run python-qa "{_question(exported.version)}"'
    yield "```"
