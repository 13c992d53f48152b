"""A real tuner of the smallest kind: a model of which character follows which, counted on the answers."""

import json
import math
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.dataset.formats.records import Example, Format, Message
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.protocol import Answer, Estimate, Model, Problem, TuneOptions

_ALPHABET = 128
LARGE = 3_000_000  # bytes of a model of the base `large`


class CharacterTuner:
    name = "tests.pipelines.character_tuner:CharacterTuner"
    formats: tuple[Format, ...] = ("messages",)
    primary_metric = "loss"

    def check(self, dataset: Dataset) -> list[Problem]:
        return []

    def evaluation_limit(self, dataset_format: Format, train_rows: int) -> int:
        return 0

    def estimate(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Estimate:
        return Estimate(examples=0, tokens=0, seconds=0, dollars=0)

    def tune(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> Model:
        if options.base_model == "too large":  # what the system does to who wants more memory than there is
            print("step 3/24: loss 2.059, 287 tokens/s, 9 s left", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if options.base_model not in ("characters", "tiny", "large"):
            raise TuningError(f"there is no base model {options.base_model!r}", "Take characters or tiny")
        counts: Counter[str] = Counter()
        with dataset.file("train").open("rb") as file:
            lines = list(file)
        for line in lines[: options.steps or len(lines)]:
            answer = parse_line(dataset.manifest.format, line).answer
            counts.update(before + after for before, after in zip("\n" + answer, answer, strict=False))
        (output / "counts.json").write_text(json.dumps(counts))
        if options.base_model == "large":
            (output / "padding").write_bytes(bytes(LARGE))
        return Model(tuner=self.name, base_model=options.base_model, uri=str(output), facts={"rows": len(lines)})

    def base(self, settings: Settings, dataset: Dataset, options: TuneOptions) -> Model:
        return Model(tuner=self.name, base_model=options.base_model, uri="")

    def predictor(self, settings: Settings, model: Model) -> "CharacterPredictor":
        return CharacterPredictor(counts_of(model))


def counts_of(model: Model) -> dict[str, int]:
    """How often each pair of characters occurred. The base has seen none."""
    return json.loads((Path(model.uri) / "counts.json").read_text()) if model.uri else {}


class CharacterPredictor:
    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts
        self._totals: Counter[str] = Counter()
        for pair, count in counts.items():
            self._totals[pair[0]] += count

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        return [Answer(self._answer(max_new_tokens), "MAX_TOKENS") for _ in prompts]

    def losses(self, examples: Sequence[Example], max_length: int) -> list[tuple[float, int]]:
        return [self._loss(example.answer[:max_length]) for example in examples]

    def _loss(self, answer: str) -> tuple[float, int]:
        total = sum(-math.log(self._probability(a, b)) for a, b in zip("\n" + answer, answer, strict=False))
        return total / len(answer), len(answer)

    def _probability(self, before: str, after: str) -> float:
        return (self._counts.get(before + after, 0) + 1) / (self._totals[before] + _ALPHABET)

    def _answer(self, length: int) -> str:
        text, last = "", "\n"
        for _ in range(length):
            followers = {pair[1]: count for pair, count in self._counts.items() if pair[0] == last}
            if not followers:
                break
            last = max(sorted(followers), key=lambda character: followers[character])
            text += last
        return text
