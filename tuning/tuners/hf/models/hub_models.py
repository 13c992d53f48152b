"""List open models on the Hugging Face hub, each at one revision, with the settings that its tuning begins with.

A revision is the commit whose files are downloaded, so that the same command reads the same weights next year. The rate
is that of QLoRA for models up to 13 billion parameters (https://arxiv.org/abs/2305.14314, table 9). Nobody has tuned
these models with this project yet, so batch, length and rank are its defaults for other models.

Left out are models whose licence forbids commercial use (Qwen2.5-3B), which bring code of their own (Phi 3.5), or which
think before they answer (Qwen3 before the versions 2507): the how-to questions cut an answer after 512 tokens.
"""

from typing import NamedTuple

from tuning.errors import TuningError


class HubModel(NamedTuple):
    """Describe a model on the hub."""

    revision: str
    licence: str
    billions: float  # of parameters
    gated: bool = False  # the hub asks for a login and accepted terms
    learning_rate: float = 2e-4
    batch_size: int = 8
    max_length: int = 1024  # tokens
    lora_rank: int = 16


HUB_MODELS = {
    "HuggingFaceTB/SmolLM2-360M-Instruct": HubModel("a10cc1512eabd3dde888204e902eca88bddb4951", "Apache-2.0", 0.36),
    "Qwen/Qwen2.5-0.5B-Instruct": HubModel("7ae557604adf67be50417f59c2c2f167def9a775", "Apache-2.0", 0.49),
    "google/gemma-3-1b-it": HubModel("dcc83ea841ab6100d6b47a070329e1ba4cf78752", "Gemma", 1.0, gated=True),
    "meta-llama/Llama-3.2-1B-Instruct": HubModel(
        "9213176726f574b556790deb65791e0c5aa438b6", "Llama 3.2", 1.24, gated=True
    ),
    "allenai/OLMo-2-0425-1B-Instruct": HubModel("48d788eca847d4d7548f375ad03d3c9312f6139e", "Apache-2.0", 1.48),
    "Qwen/Qwen2.5-1.5B-Instruct": HubModel("989aa7980e4cf806f80c7fef2b1adb7bc71aa306", "Apache-2.0", 1.54),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": HubModel("31b70e2e869a7173562077fd711b654946d38674", "Apache-2.0", 1.71),
    "meta-llama/Llama-3.2-3B-Instruct": HubModel(
        "0cb88a4f764b7a12671c53f0838cd831a0843b95", "Llama 3.2", 3.21, gated=True
    ),
    "Qwen/Qwen3-4B-Instruct-2507": HubModel("cdbee75f17c01a7cc42f958dc650907174af0554", "Apache-2.0", 4.02),
    "Qwen/Qwen2.5-7B-Instruct": HubModel("a09a35458c702b33eeacc393d103063234e8bc28", "Apache-2.0", 7.62),
}


class HubName(NamedTuple):
    """Name a model on the hub and the commit, branch or tag of its files. An empty revision means the newest files."""

    name: str
    revision: str


def parse_hub_name(text: str) -> HubName:
    """Return what ``NAME`` or ``NAME@REVISION`` names. Without a revision, it is that of the list, if there is one."""
    name, _, revision = text.partition("@")
    listed = HUB_MODELS.get(name)
    return HubName(name, revision or (listed.revision if listed else ""))


def is_gated(base_model: str) -> bool:
    """Return whether the list says that the model can be downloaded only after a login."""
    listed = HUB_MODELS.get(parse_hub_name(base_model).name)
    return listed is not None and listed.gated


def refuse_gated(base_model: str) -> None:
    """Raise TuningError if the model can be downloaded only after a login: the steps on Vertex AI have none."""
    if is_gated(base_model):
        raise TuningError(
            f"{base_model} asks for a login on the hub, which the steps on Vertex AI do not have",
            "Choose another base model, or tune it on a machine of your own",
        )


def table() -> str:
    """Return the list as a Markdown table, for the documentation."""
    lines = [
        "| `--base-model` | revision | licence | parameters | weights in bfloat16 | rate, batch, length, rank |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in HUB_MODELS.items():
        licence = f"{one.licence}, gated" if one.gated else one.licence
        settings = f"{one.learning_rate:g}, {one.batch_size}, {one.max_length}, {one.lora_rank}"
        sizes = f"{one.billions:g} billion | {2 * one.billions:.1f} GB"
        lines.append(f"| `{name}` | `{one.revision[:12]}` | {licence} | {sizes} | {settings} |")
    return "\n".join(lines)
