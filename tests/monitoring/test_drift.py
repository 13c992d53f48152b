from collections import Counter

import numpy as np
import pytest

from tuning.monitoring.drift import FAR, MOVED, Measure, stability_index, tag_distance

GENERATOR = np.random.default_rng(42)
LENGTHS = GENERATOR.lognormal(4, 1, 5_000)


def test_a_sample_of_the_same_distribution_is_steady() -> None:
    again = GENERATOR.lognormal(4, 1, 5_000)
    assert stability_index(LENGTHS, again) < 0.02


def test_the_index_is_zero_for_the_same_numbers_and_grows_with_the_shift() -> None:
    assert stability_index(LENGTHS, LENGTHS) == 0
    assert stability_index(np.zeros(100), np.zeros(73)) == 0
    assert stability_index(LENGTHS, np.repeat(LENGTHS, 3)) == pytest.approx(0, abs=1e-12)
    little, much = stability_index(LENGTHS, LENGTHS * 1.5), stability_index(LENGTHS, LENGTHS * 3)
    assert MOVED < little < much
    assert much > FAR


def test_the_index_equals_its_formula_on_two_values() -> None:
    reference, current = np.array([0.0] * 50 + [1.0] * 50), np.array([0.0] * 20 + [1.0] * 80)
    # Deciles 0, 0.5 and 1: the bins are below 0, 0, between, 0.5, between, 1, above 1.
    shares = [np.array([0.5, half, 0.5, 0.5, 0.5, other, 0.5]) / 103.5 for half, other in ((50.5, 50.5), (20.5, 80.5))]
    expected = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    assert stability_index(reference, current) == pytest.approx(expected)


def test_a_constant_reference_notices_a_change_in_either_direction() -> None:
    assert stability_index(np.ones(100), np.zeros(100)) > FAR
    assert stability_index(np.ones(100), np.full(100, 2.0)) > FAR


def test_tags_are_at_distance_0_when_alike_and_1_when_none_is_shared() -> None:
    assert tag_distance(Counter(python=10, pandas=5), Counter(python=20, pandas=10)) == pytest.approx(0)
    assert tag_distance(Counter(python=10), Counter(java=10)) == pytest.approx(1)
    assert 0.1 < tag_distance(Counter(python=10, pandas=5), Counter(python=10, numpy=5)) < 1


@pytest.mark.parametrize(("drift", "verdict"), [(0.0, "steady"), (0.1, "moved"), (0.249, "moved"), (0.25, "far")])
def test_the_bounds_belong_to_the_worse_verdict(drift: float, verdict: str) -> None:
    assert Measure("x", 1, 1, drift).verdict == verdict
