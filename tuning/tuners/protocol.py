"""What a tuner is: one protocol for local training and for managed tuning in the cloud."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Example, Format, Message
from tuning.settings import Settings


class TuneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to tune. Zero and empty mean "the tuner's own default for this base model"."""

    base_model: str = "smollm2"
    steps: int = 0  # optimizer steps; wins over epochs
    epochs: float = 0
    learning_rate: float = 0
    lora_rank: int = 0
    full: bool = False  # train all weights, in place of a LoRA adapter
    max_length: int = 0  # tokens of prompt and answer; longer examples are left out of training and counted
    batch_size: int = 0  # examples per optimizer step
    seed: int = 42


class Problem(msgspec.Struct, frozen=True):
    """Why a dataset does not suit a tuner. A problem that is not `fatal` was mended or is advice."""

    what: str
    mend: str
    fatal: bool = True


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a tuner's predictor can load: a folder, or a resource name in the cloud."""

    tuner: str
    base_model: str
    uri: str  # local folder, gs:// folder or Vertex AI resource name
    facts: dict[str, object] = {}  # tokens/s, rows used, rows left out, losses: what the report shows


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Before anything is sent. `dollars` is 0 for local work and NaN where no price is known."""

    examples: int
    tokens: int
    seconds: float
    dollars: float
    notes: list[str] = []


class Answer(msgspec.Struct, frozen=True):
    text: str
    finish_reason: str  # STOP, MAX_TOKENS, SAFETY, RECITATION ...
    notes: tuple[str, ...] = ()  # such as citations with their licence


class Predictor(Protocol):
    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        """Greedy answers, in the order of the prompts; batched inside."""

    def losses(self, examples: Sequence[Example], max_length: int) -> list[tuple[float, int]] | None:
        """Per example: mean cross entropy in nats over the answer's tokens, and their number; (nan, 0) where the prompt
        leaves no answer token within `max_length`. None where the model gives no token probabilities."""


@runtime_checkable
class StreamingPredictor(Predictor, Protocol):
    """A predictor that can also give an answer while it is made. One that cannot is asked for the whole."""

    def stream(self, prompt: Sequence[Message], max_new_tokens: int) -> Iterator[str | Answer]:
        """Pieces of the text of `generate`'s answer as they are made, then that Answer."""


class Tuner(Protocol):
    name: str
    formats: tuple[Format, ...]
    primary_metric: str  # of the release gate

    def check(self, dataset: Dataset) -> list[Problem]: ...

    def evaluation_limit(self, dataset_format: Format, train_rows: int) -> int:
        """Most rows that the target takes as evaluation set beside `train_rows`; 0: no limit. The pipeline derives
        ``eval.sampled.jsonl`` where eval.jsonl has more, and `tune` finds it as ``dataset.file("eval")``."""

    def estimate(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Estimate: ...

    def tune(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> Model: ...

    def base(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Model:
        """The untuned model, as `predictor` takes it."""

    def predictor(self, settings: Settings, model: Model) -> Predictor: ...
