"""Which base model, where it is tuned and served, and what it accepts: the rules of Vertex AI that change with time.

Tuning: https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-use-supervised-tuning; open models:
https://cloud.google.com/vertex-ai/generative-ai/docs/models/open-model-tuning. As of November 2026.
"""

import math
from dataclasses import dataclass

from tuning.dataset.formats.limits import GEMINI, OPEN_MODELS, Limits
from tuning.dataset.formats.records import Format
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.protocol import TuneOptions

# Region of tuning: where its models answer.
SERVED_FROM = {"us-central1": "us", "europe-west4": "eu"}
# Examples per step of the retired template, by which steps become epochs.
BATCH = {"us-central1": 8, "europe-west4": 24}
ADAPTER_SIZES = {1: "ONE", 2: "TWO", 4: "FOUR", 8: "EIGHT", 16: "SIXTEEN", 32: "THIRTY_TWO"}
GEMINI_ADAPTER_SIZES = (1, 2, 4, 8, 16)
DEFAULT_EPOCHS = 3
_LOCAL_MODELS = frozenset({"smollm2", "tiny"})
_RETIRED = ("text-bison", "chat-bison", "code-bison", "gemini-1.", "gemini-2.")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one tuning job is asked for. `adapter_size` 0 and `learning_rate` 0 leave the choice to the service."""

    base_model: str
    epochs: int
    adapter_size: int
    learning_rate: float  # a multiplier of the service's own rate; for open models the rate itself
    batch_size: int  # open models only

    @property
    def is_open(self) -> bool:
        return is_open(self.base_model)


def is_open(base_model: str) -> bool:
    """Open models are named ``publisher/model@variant``."""
    return "@" in base_model


def limits_of(dataset_format: Format) -> Limits:
    return OPEN_MODELS if dataset_format in OPEN_MODELS.formats else GEMINI


def base_model(settings: Settings, options: TuneOptions) -> str:
    """The model that is meant: `options` may still carry the default of local tuning."""
    name = settings.gemini_model if options.base_model in _LOCAL_MODELS else options.base_model
    if name.startswith(_RETIRED):
        raise TuningError(
            f"{name} can no longer be tuned", f"Take {Settings().gemini_model} or another that Google lists today"
        )
    return name


def make_plan(settings: Settings, options: TuneOptions, dataset_format: Format, train_rows: int) -> Plan:
    """The options as Vertex AI counts them. TuningError for what it would refuse; nothing has been sent yet."""
    name = base_model(settings, options)
    check_region(settings)
    wanted = OPEN_MODELS if is_open(name) else GEMINI
    if dataset_format not in wanted.formats:
        raise TuningError(
            f"{name} does not take the format {dataset_format}",
            f"`invoke dataset --format {wanted.formats[0]}` makes one that it takes",
        )
    sizes = tuple(ADAPTER_SIZES) if is_open(name) else GEMINI_ADAPTER_SIZES
    if options.lora_rank and options.lora_rank not in sizes:
        raise TuningError(
            f"{name} takes no adapter of size {options.lora_rank}", f"Take one of {', '.join(map(str, sizes))}"
        )
    if options.batch_size and not is_open(name):
        raise TuningError(f"{name} chooses its batch size itself", "Leave it out")
    return Plan(
        base_model=name,
        epochs=_epochs(options, train_rows, options.batch_size or BATCH[settings.region]),
        adapter_size=options.lora_rank,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
    )


def check_region(settings: Settings) -> None:
    """TuningError for a region in which nothing is tuned."""
    if settings.region not in SERVED_FROM:
        raise TuningError(
            f"models are not tuned in {settings.region}", f"Set TUNING_REGION to {' or '.join(SERVED_FROM)}"
        )


def _epochs(options: TuneOptions, train_rows: int, batch: int) -> int:
    """Vertex AI counts epochs: steps become the epochs that hold at least as many."""
    if options.steps:
        return math.ceil(options.steps * batch / max(1, train_rows))
    return math.ceil(options.epochs) or DEFAULT_EPOCHS
