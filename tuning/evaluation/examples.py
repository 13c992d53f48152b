"""Read the evaluation examples of a dataset and assign them to slices."""

from dataclasses import dataclass

from tuning.dataset.dataset import Attribution, Dataset
from tuning.dataset.formats.records import Example
from tuning.errors import TuningError
from tuning.evaluation.sample import stable_sample

# Slices by the number of characters of the reference answer and by its votes. Each has an upper bound (exclusive). The
# bounds are fixed, so that a slice means the same in every dataset.
_LENGTHS = ((500, "answer under 500 characters"), (1500, "answer of 500-1,500 characters"))
_SCORES = ((1, "score 0 or less"), (10, "score 1-9"))


@dataclass(frozen=True)
class EvaluationExample:
    """Hold an evaluation example and its attribution."""

    attribution: Attribution
    example: Example

    @property
    def slices(self) -> list[str]:
        """Return the names of the example's slices: its tags, and the answer's length, year and score."""
        row = self.attribution
        length = next((name for bound, name in _LENGTHS if len(self.example.answer) < bound), "answer over 1,500")
        score = next((name for bound, name in _SCORES if row.answer_score < bound), "score 10 or more")
        if not row.answer_created_at:  # own data
            return [length]
        return [*(f"tag: {tag}" for tag in row.tags), length, f"year: {row.answer_created_at[:4]}", score]


def read_examples(dataset: Dataset, limit: int) -> list[EvaluationExample]:
    """Return the stable sample of `limit` examples (0: all) of the evaluation split, in the order of their lines.

    Raises TuningError if the split is empty, if a line is invalid, or if eval.jsonl and attribution.jsonl do not match.
    """
    wanted = {row.line: row for row in stable_sample(dataset.attributions("eval"), limit)}
    if not wanted:
        raise TuningError(f"the evaluation set of dataset {dataset.id} is empty", "Raise --eval-fraction or --limit")
    # Not dataset.file("eval"), because a sampled file has other line numbers.
    lines = enumerate(dataset.examples("eval"))
    found = [EvaluationExample(wanted[number], example) for number, example in lines if number in wanted]
    if len(found) != len(wanted):
        raise TuningError(
            f"attribution.jsonl in {dataset.address} lists evaluation lines that eval.jsonl does not have",
            "Remove the folder and run `invoke dataset` again",
        )
    return found
