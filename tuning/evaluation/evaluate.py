"""Evaluate one model on the evaluation split: losses for all examples, generated answers for a few."""

import math
from collections.abc import Sequence

from tuning.dataset.dataset import Dataset
from tuning.evaluation.examples import EvaluationExample, read_examples
from tuning.evaluation.options import EvaluationOptions
from tuning.evaluation.records import Evaluation, Scored
from tuning.evaluation.text_metrics import score_answer, score_service
from tuning.tuners.protocol import Answer, Model, Predictor


def evaluate(
    predictor: Predictor,
    dataset: Dataset,
    options: EvaluationOptions,
    *,
    role: str,
    model: Model,
    primary_metric: str,
    dataset_sha256: str,
) -> Evaluation:
    """Score `model` with its `predictor`. Every model gets the same prompts and decodes greedily.

    If the primary metric needs generated answers, all examples get one, not only the first `options.answers`. Raises
    TuningError if the evaluation split is empty or if requests to a managed model fail.
    """
    examples = read_examples(dataset, options.examples)
    answered = len(examples) if primary_metric != "loss" else options.answers
    losses = predictor.losses([example.example for example in examples], options.max_length)
    answers = predictor.generate([example.example.prompt for example in examples[:answered]], options.max_new_tokens)
    return Evaluation(
        role=role,
        model=model,
        dataset_id=dataset.id,
        dataset_sha256=dataset_sha256,
        scored=_scored(examples, losses, answers),
    )


def _scored(
    examples: Sequence[EvaluationExample], losses: list[tuple[float, int]] | None, answers: list[Answer]
) -> list[Scored]:
    rows = []
    for index, example in enumerate(examples):
        scores: dict[str, float] = {}
        loss, tokens = losses[index] if losses else (math.nan, 0)
        if tokens:
            scores["loss"] = loss
        answer = answers[index] if index < len(answers) else None
        reference = example.example.answer
        if answer:
            scores |= score_answer(answer.text, reference, answer.finish_reason)
            if losses is None:  # a managed service: it reports filters and citations, but no losses
                scores |= score_service(answer.finish_reason, answer.notes)
        rows.append(
            Scored(
                example_id=example.attribution.example_id,
                question_id=example.attribution.question_id,
                group=example.attribution.group,
                slices=example.slices,
                scores=scores,
                tokens=tokens,
                question=example.example.prompt[-1].content if answer else "",
                reference=reference if answer else "",
                answer=answer.text if answer else "",
                finish_reason=answer.finish_reason if answer else "",
            )
        )
    return rows
