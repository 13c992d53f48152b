"""Apply the rules of Vertex AI that change over time: which base models it tunes, where and how, and how models think.

Tuning: https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-use-supervised-tuning; thinking:
https://cloud.google.com/vertex-ai/generative-ai/docs/thinking. As of November 2026.
"""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuning.dataset.formats.limits import GEMINI
from tuning.dataset.formats.records import Format
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.protocol import TuneOptions

if TYPE_CHECKING:
    from google.genai.types import ThinkingConfig

# Tuning regions, each with the multi-region that serves its models.
SERVED_FROM = {"us-central1": "us", "europe-west4": "eu"}
# The models that Google lists for tuning with customer-managed keys. Its table has a row "Tuning" for these only:
# https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/security-controls
KEY_MODELS = frozenset({"gemini-3.5-flash"})
# Batch sizes of the retired tuning template, by region. They convert steps to epochs.
BATCH = {"us-central1": 8, "europe-west4": 24}
ADAPTER_SIZES = {1: "ONE", 2: "TWO", 4: "FOUR", 8: "EIGHT", 16: "SIXTEEN"}
DEFAULT_EPOCHS = 3
_LOCAL_MODELS = frozenset({"smollm2", "tiny"})
_RETIRED = ("text-bison", "chat-bison", "code-bison", "gemini-1.", "gemini-2.")

# The lowest thinking that a model family accepts, by prefix of the model's name; the first match counts. A number is a
# budget in tokens, a word is a level, and None means that the family does not think. Gemini 2.5 accepts only budgets,
# and no model accepts both at once. Pro models and, from 3.7 on, Flash models refuse MINIMAL. All text models from 3 on
# accept LOW.
_THINKING: tuple[tuple[str, int | str | None], ...] = (
    ("gemini-1.", None),
    ("gemini-2.0-", None),
    ("gemini-2.5-pro", 128),
    ("gemini-2.5-", 0),
    ("gemini-3-flash", "MINIMAL"),
    ("gemini-3.1-flash", "MINIMAL"),
    ("gemini-3.5-flash", "MINIMAL"),
    ("gemini-3.6-flash", "MINIMAL"),
    ("gemini-", "LOW"),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Hold the parameters of one tuning job. If `adapter_size` or `learning_rate` is 0, the service chooses it."""

    base_model: str
    epochs: int
    adapter_size: int
    learning_rate: float  # a multiplier of the service's rate


def thinking(model_name: str, base_model: str) -> "ThinkingConfig | None":
    """Return the lowest thinking that a model accepts, as Google advises for tuned models, or None if it never thinks.

    `model_name` is what a request is sent to. An endpoint does not name its model, so it gets the thinking of
    `base_model`. Both can be resource names.
    """
    from google.genai.types import ThinkingConfig, ThinkingLevel

    family = next((name for name in map(_short, (model_name, base_model)) if name.startswith("gemini-")), "")
    lowest = next((value for prefix, value in _THINKING if family.startswith(prefix)), None)
    if lowest is None:
        return None
    if isinstance(lowest, int):
        return ThinkingConfig(thinking_budget=lowest)
    return ThinkingConfig(thinking_level=ThinkingLevel[lowest])


def _short(name: str) -> str:
    return name.rpartition("/")[2].lower()


def location_of(settings: Settings, model_name: str) -> str:
    """Return where a model answers: the location in the name of an endpoint, else the multi-region of the region.

    `model_name` is ``projects/P/locations/L/endpoints/E`` or a model of a publisher.
    """
    named = re.fullmatch(r"projects/[^/]+/locations/([^/]+)/endpoints/[^/]+", model_name)
    return named[1] if named else SERVED_FROM.get(settings.region, settings.region)


def base_model(settings: Settings, options: TuneOptions) -> str:
    """Return the model to tune: that of `options`, or the Gemini model of the settings if `options` name a local model.

    Raises TuningError if Google has retired the model, or if it is not a Gemini model: Google tunes open models too,
    but does not deploy them, so that they could not be evaluated.
    """
    name = settings.gemini_model if options.base_model in _LOCAL_MODELS else options.base_model
    if name.startswith(_RETIRED):
        raise TuningError(
            f"{name} can no longer be tuned", f"Use {Settings().gemini_model} or another model that Google still tunes"
        )
    if not name.startswith("gemini-"):
        raise TuningError(f"the tuner gemini tunes Gemini models only, not {name}", "Tune open models with --tuner hf")
    return name


def make_plan(settings: Settings, options: TuneOptions, dataset_format: Format, train_rows: int) -> Plan:
    """Convert the options to those of Vertex AI. Sends nothing. Raises TuningError if Vertex AI would refuse them."""
    name = base_model(settings, options)
    check_service(settings, name)
    if dataset_format not in GEMINI.formats:
        raise TuningError(
            f"{name} does not accept the format {dataset_format}",
            f"Build a dataset with `invoke dataset --format {GEMINI.formats[0]}`",
        )
    if options.lora_rank and options.lora_rank not in ADAPTER_SIZES:
        raise TuningError(
            f"{name} does not accept adapters of rank {options.lora_rank}",
            f"Set --lora-rank to one of {', '.join(map(str, ADAPTER_SIZES))}",
        )
    if options.batch_size:
        raise TuningError(f"the batch size of {name} cannot be set", "Leave out --batch-size")
    return Plan(
        base_model=name,
        epochs=_epochs(options, train_rows, BATCH[settings.region]),
        adapter_size=options.lora_rank,
        learning_rate=options.learning_rate,
    )


def check_service(settings: Settings, name: str) -> None:
    """Check region and key of the settings for the model `name`. Raises TuningError if Vertex AI would refuse them."""
    if settings.region not in SERVED_FROM:
        raise TuningError(
            f"Vertex AI does not tune models in {settings.region}", f"Set TUNING_REGION to {' or '.join(SERVED_FROM)}"
        )
    if settings.kms_key and name not in KEY_MODELS:
        raise TuningError(
            f"Google does not tune {name} with your own encryption key (TUNING_KMS_KEY)",
            f"Tune {' or '.join(sorted(KEY_MODELS))}, or unset TUNING_KMS_KEY",
        )


def _epochs(options: TuneOptions, train_rows: int, batch: int) -> int:
    """Convert steps to epochs, rounded up, because Vertex AI accepts epochs only."""
    if options.steps:
        return math.ceil(options.steps * batch / max(1, train_rows))
    return math.ceil(options.epochs) or DEFAULT_EPOCHS
