"""Evaluations made by hand."""

from tuning.evaluation.records import Evaluation, Scored
from tuning.tuners.protocol import Model


def evaluation(
    role: str, losses: list[float], base_model: str = "small", answers: list[str] | None = None
) -> Evaluation:
    """One example per loss; the first have `answers`. Example n has question n, group n and n + 1 answer tokens."""
    rows = []
    for number, loss in enumerate(losses):
        answer = answers[number] if answers and number < len(answers) else ""
        scores = {"loss": loss} | ({"chrf": float(len(answer))} if answer else {})
        rows.append(
            Scored(
                example_id=f"{number}-{number}",
                question_id=number,
                group=number,
                slices=["tag: python"],
                scores=scores,
                tokens=number + 1,
                question=f"Question {number}" if answer else "",
                reference="reference" if answer else "",
                answer=answer,
                finish_reason="STOP" if answer else "",
            )
        )
    model = Model(tuner="hf", base_model=base_model, uri="weights")
    return Evaluation(role=role, model=model, dataset_id="d", dataset_sha256="0", scored=rows)


def nobody() -> Evaluation:
    return Evaluation(role="champion", model=None, dataset_id="d", dataset_sha256="0", scored=[])
