"""Define the protocol of tuners, for local training and for managed tuning in the cloud."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Example, Format, Message
from tuning.settings import Settings

# What a tuning with an adapter keeps: the adapter alone, or the whole model too. Empty: by the size of the base model.
Keep = Literal["", "adapter", "merged"]
# The bits of the base's weights while an adapter is trained on them. Empty: as many as without quantization.
Quantize = Literal["", "4bit", "8bit"]


class TuneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the options of a tuning run. Zero or empty means the tuner's default for the base model."""

    base_model: str = "smollm2"
    steps: int = 0  # optimizer steps; if set, `epochs` is ignored
    epochs: float = 0
    learning_rate: float = 0
    lora_rank: int = 0
    full: bool = False  # train all weights instead of a LoRA adapter
    max_length: int = 0  # tokens in prompt and answer; longer examples are left out, and their number is reported
    batch_size: int = 0  # examples per optimizer step
    keep: Keep = ""
    quantize: Quantize = ""
    shard: bool = False  # the weights are shared among the GPUs, also if they fit one
    seed: int = 42
    continues: str = ""  # the registered version whose adapter is trained further
    continues_sha256: str = ""  # of its files
    # These are set when the tuning starts, and are not part of a request.
    adapter: str = ""  # the folder of that adapter
    checkpoints: str = ""  # an address in Cloud Storage to which checkpoints are copied, and from which it resumes


class Problem(msgspec.Struct, frozen=True):
    """Describe why a dataset does not suit a tuner. A problem that is not `fatal` was fixed or is advice."""

    what: str
    hint: str
    fatal: bool = True


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Identify a model that a tuner's predictor can load."""

    tuner: str
    base_model: str
    uri: str  # local folder, gs:// folder, or Vertex AI resource name
    facts: dict[str, object] = {}  # shown in the report: tokens/s, rows used, rows left out, losses


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the expected size, time and price of a tuning run. `dollars` is 0 for local work and NaN if unknown."""

    examples: int
    tokens: int
    seconds: float
    dollars: float
    notes: list[str] = []


# Finish reasons of an answer that was cut: at the limit of tokens, or because it only repeated itself.
LIMIT, REPETITION = "MAX_TOKENS", "REPETITION"


class Answer(msgspec.Struct, frozen=True):
    """Hold a generated answer and the reason why its generation ended."""

    text: str
    finish_reason: str  # STOP, MAX_TOKENS, REPETITION, SAFETY, RECITATION ...
    notes: tuple[str, ...] = ()  # for example, citations with their licence
    model: str = ""  # the version that answered, if the predictor asks several and knows which one did


class Predictor(Protocol):
    """Generate and score answers with one model."""

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        """Return answers by greedy decoding, in the order of the prompts. The predictor forms the batches."""

    def losses(self, examples: Sequence[Example], max_length: int) -> list[tuple[float, int]] | None:
        """Return the loss and the number of answer tokens of each example.

        The loss is the mean cross entropy over the answer tokens, in nats. The result is (nan, 0) for an example whose
        prompt leaves no answer token within `max_length` tokens. Returns None if the model gives no token
        probabilities.
        """


@runtime_checkable
class StreamingPredictor(Predictor, Protocol):
    """Generate answers piece by piece. For predictors without `stream`, callers use `generate`."""

    def stream(self, prompt: Sequence[Message], max_new_tokens: int) -> Iterator[str | Answer]:
        """Yield pieces of the answer's text as they are generated, then the Answer that `generate` would return."""


@runtime_checkable
class LocalPredictor(StreamingPredictor, Protocol):
    """Count tokens too. `invoke serve` needs that."""

    context: int  # maximum tokens of a prompt and its answer together

    def prompt_tokens(self, prompt: Sequence[Message]) -> int:
        """Return the number of tokens of a prompt."""

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of an answer's text."""


class Tuner(Protocol):
    """Tune models on a dataset, and query the results."""

    name: str
    formats: tuple[Format, ...]
    # The metric of held-out examples, "loss" or "chrf". The gate uses it, too, but it alone cannot give "better".
    primary_metric: str

    def check(self, dataset: Dataset) -> list[Problem]:
        """Return the reasons why the dataset does not suit this tuner. The list is empty if there are none."""

    def evaluation_limit(self, dataset_format: Format, train_rows: int) -> int:
        """Return the maximum number of evaluation rows for `train_rows` training rows. 0 means no limit.

        If eval.jsonl has more rows, the pipeline writes a sample to ``eval.sampled.jsonl``. ``dataset.file("eval")``
        then returns that sample to `tune`.
        """

    def estimate(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Estimate:
        """Estimate size, time and price of a tuning run without starting it."""

    def tune(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> Model:
        """Tune a model and write its files to the folder `output`. Raises TuningError if that fails."""

    def base(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Model:
        """Return the untuned model, in the form that `predictor` accepts."""

    def predictor(self, settings: Settings, model: Model) -> Predictor:
        """Return a predictor for a tuned or untuned model of this tuner."""
