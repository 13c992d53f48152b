"""Comparisons on a suite, made by hand."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tuning.evaluation.records import Comparison, Pair, SuiteComparison, SuiteSide


def pairs(
    improvements: Iterable[float],
    groups: Iterable[int] | None = None,
    slices: Callable[[int], list[str]] = lambda _: [],
) -> list[Pair]:
    values = list(improvements)
    numbers = range(len(values)) if groups is None else groups
    return [
        Pair(example_id=f"e{n}", question_id=n, group=int(group), slices=slices(n), improvement=float(value))
        for n, (value, group) in enumerate(zip(values, numbers, strict=True))
    ]


def compared(
    tuned: Sequence[bool],
    base: Sequence[bool],
    loss: list[Pair],
    *,
    champion: Sequence[bool] | None = None,
    reason: str = "",
    scores: Mapping[str, tuple[float, float]] = {},
    cut: Mapping[str, Collection[int]] = {},
    empty: Mapping[str, Collection[int]] = {},
) -> Comparison:
    """One question per element of `tuned`, which says whether the model solves it.

    `scores` has the shares of other metrics (base, tuned), in per cent; `cut` and `empty` number questions by role.
    """
    solved = {"base": base, "tuned": tuned} | ({"champion": champion} if champion is not None else {})
    shares = {"runs": (90.0, 90.0), "code": (100.0, 100.0), "loop": (0.0, 0.0), "apis": (100.0, 100.0)} | scores

    def row(role: str, number: int) -> dict[str, float]:
        values = {name: 100.0 * (number * 100 / len(tuned) < share[role == "tuned"]) for name, share in shares.items()}
        values |= {"executed": 100.0 * solved[role][number]} if not reason else {}
        values["truncated"] = 100.0 * (number in cut.get(role, ()))
        values.setdefault("empty", 0.0)
        return values | ({"empty": 100.0} if number in empty.get(role, ()) else {})

    names = {f"topic {number}": {role: row(role, number) for role in solved} for number in range(len(tuned))}
    return scored(names, loss, reason=reason)


def scored(rows: Mapping[str, Mapping[str, dict[str, float]]], loss: list[Pair], *, reason: str = "") -> Comparison:
    """A comparison on a suite from the scores by topic and role."""
    sides = [
        SuiteSide(
            topic=topic,
            question=topic,
            reference="",
            answers=dict.fromkeys(scores, "answer"),
            finish_reasons=dict.fromkeys(scores, "STOP"),
            scores=dict(scores),
            printed=dict.fromkeys(scores, ""),
            errors=dict.fromkeys(scores, ""),
        )
        for topic, scores in rows.items()
    ]
    return Comparison(
        primary_metric="loss",
        figures=[],
        perplexity={},
        token_loss={},
        pairs={"base": loss},
        sides=[],
        inputs={},
        suite=SuiteComparison(suite="judging", protection="namespaces", reason=reason, sides=sides),
    )
