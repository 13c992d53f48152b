"""How often the gate releases a model, by simulation: ``python -m tests.evaluation.simulate_gate``."""

import numpy as np

from tests.evaluation.suites import pairs, scored
from tuning.evaluation.gate import judge
from tuning.evaluation.options import GateOptions
from tuning.evaluation.records import Comparison

QUESTIONS = 96
SOLVED = 0.45  # by the base
TRIALS = 500
RARE = 0.03  # share of answers that loop, for both models
OPTIONS = GateOptions(resamples=1000)


def share_released(change: float, discordant: float, trials: int, status: str = "", seed: int = 1) -> float:
    """Return the share of `trials` in which a model is released, or gets the verdict `status`.

    `change` is its true executed share minus the base's, in points, and `discordant` the share of questions that only
    one of them solves. All other metrics are equal on average, and its loss is certainly better.
    """
    random = np.random.default_rng(seed)
    loss = pairs(random.normal(0.3, 0.2, 48))
    gains = (discordant + change / 100) / 2
    assert 0 <= gains <= discordant <= 1
    hits = 0
    for _ in range(trials):
        draw = random.random(QUESTIONS)
        tuned_only, base_only = draw < gains, (draw >= gains) & (draw < discordant)
        both = ~tuned_only & ~base_only & (random.random(QUESTIONS) < SOLVED)
        verdict = judge(_comparison(tuned_only | both, base_only | both, random, loss), OPTIONS)
        hits += verdict.status == status if status else verdict.passed
    return hits / trials


def _comparison(tuned: np.ndarray, base: np.ndarray, random: np.random.Generator, loss: list) -> Comparison:
    runs = {role: solved | (random.random(QUESTIONS) < 0.6) for role, solved in (("base", base), ("tuned", tuned))}
    loops = {role: random.random(QUESTIONS) < RARE for role in runs}
    names = {role: 100 - 50.0 * (random.random(QUESTIONS) < 0.1) for role in runs}
    solved = {"base": base, "tuned": tuned}
    rows = {
        str(number): {
            role: {
                "executed": 100.0 * solved[role][number],
                "runs": 100.0 * runs[role][number],
                "apis": names[role][number],
                "code": 100.0,
                "loop": 100.0 * loops[role][number],
                "empty": 0.0,
            }
            for role in runs
        }
        for number in range(QUESTIONS)
    }
    return scored(rows, loss)


if __name__ == "__main__":
    print(f"{QUESTIONS} questions, the base solves {SOLVED:.0%}; share of {TRIALS} simulated models that is released:")
    print("questions that only one solves   true change of the executed share, in points")
    changes = (-30, -20, -15, -10, -5, 0, 5, 10, 20)
    print(" " * 33 + "".join(f"{change:>+7}" for change in changes))
    for discordant in (0.2, 0.3, 0.4):
        shares = [
            f"{share_released(change, discordant, TRIALS):7.1%}" if abs(change) <= 100 * discordant else "      -"
            for change in changes
        ]
        print(f"{discordant:<33.0%}" + "".join(shares))
