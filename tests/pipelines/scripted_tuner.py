"""A tuner whose models solve how-to questions by giving the reference answers, for tests that need a release."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.pipelines.character_tuner import CharacterPredictor, CharacterTuner, counts_of
from tuning.answers import sandbox
from tuning.answers.suite import find_suite
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Message
from tuning.evaluation.options import EvaluationOptions
from tuning.settings import Settings
from tuning.tuners.protocol import Answer, Model, TuneOptions

_SUITE = find_suite("judging").questions
_NOTHING = "I have read about this, but I cannot say how it is done."


class ScriptedTuner(CharacterTuner):
    """With ``--steps N``, a model learns the first N questions of the suite, else all. The base solves none."""

    name = "tests.pipelines.scripted_tuner:ScriptedTuner"

    def tune(self, settings: Settings, dataset: Dataset, options: TuneOptions, output: Path) -> Model:
        model = super().tune(settings, dataset, msgspec.structs.replace(options, steps=0), output)
        return msgspec.structs.replace(model, facts={**model.facts, "solved": options.steps or len(_SUITE)})

    def predictor(self, settings: Settings, model: Model) -> "ScriptedPredictor":
        predictor = ScriptedPredictor(counts_of(model))
        predictor.known = {one.title: one.reference for one in _SUITE[: int(str(model.facts.get("solved", 0)))]}
        return predictor


class ScriptedPredictor(CharacterPredictor):
    known: dict[str, str]  # answers by the title of their question

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        titles = [prompt[-1].content.partition("\n")[0] for prompt in prompts]
        return [Answer(self.known.get(title, _NOTHING), "STOP") for title in titles]


def write_benchmark(path: Path, count: int) -> Path:
    """Write the first `count` questions of the suite as a file of questions."""
    path.write_bytes(b"".join(msgspec.json.encode(question) + b"\n" for question in _SUITE[:count]))
    return path


def asking(**options: object) -> EvaluationOptions:
    """Options that run answers in the sandbox, and without one where this machine has none."""
    is_shut = sandbox.protection() != sandbox.LIMITS
    return EvaluationOptions(run_answers="sandboxed" if is_shut else "unprotected", **options)  # type: ignore[arg-type]
