"""Evaluate one model: losses of the evaluation split, a few answers to it, and the code in answers to a suite."""

import math
from collections.abc import Sequence

from tuning.answers import sandbox
from tuning.answers.ask import Outcome, run_answers
from tuning.answers.benchmark import read_benchmark
from tuning.answers.suite import Question, Suite, find_suite, is_about_python
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import Body, as_question
from tuning.errors import TuningError
from tuning.evaluation.examples import EvaluationExample, read_examples
from tuning.evaluation.options import SMOKE_TEST_BASE, EvaluationOptions
from tuning.evaluation.records import Asked, AskedQuestion, Evaluation, Scored
from tuning.evaluation.text_metrics import score_answer, score_service, score_text
from tuning.tuners.protocol import Answer, Model, Predictor

NOT_PYTHON = "no suite of how-to questions applies, because the dataset is not about Python"
NO_SUITE = "no suite of how-to questions was asked"
CANNOT_ANSWER = "no how-to questions were asked, because the base model {base} has random weights and cannot answer any"
SWITCHED_OFF = "the code in the answers was not run (--run-answers no)"
NO_PROTECTION = (
    "the code in the answers was not run, because this system cannot block its access to the network and to files "
    "(use --run-answers unprotected to run it without protection)"
)


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
    answered = len(examples) if primary_metric != "loss" else min(options.answers, len(examples))
    suite, reason = choose_suite(examples, options, model.base_model)
    questions = suite.questions if suite else []
    body = dataset.manifest.body
    prompts = [example.example.prompt for example in examples[:answered]]
    prompts += [
        as_question(
            dataset.manifest.format, dataset.manifest.template, question.title, _worded(question.body, body), body
        )
        for question in questions
    ]
    losses = predictor.losses([example.example for example in examples], options.max_length)
    scored = f"; the loss is of {len(examples)} held-out examples" if losses else ""
    print(f"asking the {role} model {answered} held-out and {len(questions)} how-to questions{scored}", flush=True)
    answers = predictor.generate(prompts, options.max_new_tokens)
    return Evaluation(
        role=role,
        model=model,
        dataset_id=dataset.id,
        dataset_sha256=dataset_sha256,
        scored=_scored(examples, losses, answers[:answered]),
        asked=_asked(suite, answers[answered:], options) if suite else Asked(reason=reason),
    )


def choose_suite(
    examples: Sequence[EvaluationExample], options: EvaluationOptions, base: str
) -> tuple[Suite | None, str]:
    """Return the suite to ask a model with the base model `base`, or None and the reason."""
    if not options.suite and not options.benchmark:
        return None, CANNOT_ANSWER.format(base=base) if base == SMOKE_TEST_BASE else NO_SUITE
    suite = read_benchmark(options.benchmark) if options.benchmark else find_suite(options.suite)
    if suite.is_ours and not is_about_python([example.attribution.tags for example in examples]):
        return None, NOT_PYTHON
    return suite, ""


def _worded(markdown: str, body: Body) -> str:
    """Return the body of a question in the markup of the dataset's bodies: as it is (Markdown), or as HTML."""
    if body != "html":
        return markdown
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark").render(markdown))


def _asked(suite: Suite, answers: Sequence[Answer], options: EvaluationOptions) -> Asked:
    protection = sandbox.protection() if options.run_answers != "no" else ""
    reason = SWITCHED_OFF if options.run_answers == "no" else ""
    if protection == sandbox.LIMITS and options.run_answers != "unprotected":
        reason = NO_PROTECTION
    texts = [answer.text for answer in answers]
    outcomes = [None] * len(texts) if reason else run_answers(suite.questions, texts, protection)
    return Asked(
        suite=suite.title,
        protection="" if reason else protection,
        reason=reason,
        questions=[
            _question(question, answer, outcome)
            for question, answer, outcome in zip(suite.questions, answers, outcomes, strict=True)
        ],
    )


def _question(question: Question, answer: Answer, outcome: Outcome | None) -> AskedQuestion:
    scores = score_text(answer.text, answer.finish_reason)
    if outcome:
        scores |= {"executed": 100.0 * outcome.executed, "runs": 100.0 * outcome.runs}
    return AskedQuestion(
        topic=question.topic,
        question=f"{question.title}\n\n{question.body}".strip(),
        reference=question.reference,
        check=question.check,
        answer=answer.text,
        finish_reason=answer.finish_reason,
        notes=list(answer.notes),
        scores=scores,
        printed=outcome.printed if outcome else "",
        error=outcome.error if outcome else "",
    )


def _scored(
    examples: Sequence[EvaluationExample], losses: list[tuple[float, int]] | None, answers: list[Answer]
) -> list[Scored]:
    rows = []
    for index, example in enumerate(examples):
        scores: dict[str, float] = {}
        loss, tokens = losses[index] if losses else (math.nan, 0)
        if tokens and not math.isfinite(loss):
            raise TuningError("the model gives no finite loss, so it has diverged", "Tune with a lower --learning-rate")
        if tokens:
            scores["loss"] = loss
        answer = answers[index] if index < len(answers) else None
        reference = example.example.answer
        if answer:
            scores |= score_answer(answer.text, reference, answer.finish_reason)
            if losses is None:  # the model is on a managed service, which reports filters and citations instead
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
                notes=list(answer.notes) if answer else [],
            )
        )
    return rows
