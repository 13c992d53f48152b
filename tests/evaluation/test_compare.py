"""Figures and pairs of three evaluations."""

import math

import msgspec
import pytest

from tests.evaluation.scored import evaluation, nobody
from tuning.evaluation.compare import compare
from tuning.evaluation.options import GateOptions
from tuning.evaluation.records import Comparison

OPTIONS = GateOptions(resamples=500)


def test_a_smaller_loss_is_an_improvement_and_a_negative_difference():
    found = compare({"base": evaluation("base", [3, 2]), "tuned": evaluation("tuned", [2, 1.5])}, "loss", OPTIONS, {})
    assert [pair.improvement for pair in found.pairs["base"]] == [1.0, 0.5]
    loss = found.figures[0]
    assert (loss.metric, loss.models["base"].mean, loss.models["tuned"].mean) == ("loss", 2.5, 1.75)
    assert loss.differences["base"].mean == -0.75
    assert -1.0 <= loss.differences["base"].low <= -0.75 <= loss.differences["base"].high <= -0.5


def test_perplexity_is_of_the_mean_over_examples_and_the_token_mean_stands_beside_it():
    found = compare({"base": evaluation("base", [3, 2]), "tuned": evaluation("tuned", [2, 1])}, "loss", OPTIONS, {})
    perplexity = {role: interval.mean for role, interval in found.perplexity.items()}
    token_loss = {role: interval.mean for role, interval in found.token_loss.items()}
    assert perplexity == pytest.approx({"base": math.exp(2.5), "tuned": math.exp(1.5)})
    assert token_loss == pytest.approx({"base": (3 * 1 + 2 * 2) / 3, "tuned": (2 * 1 + 1 * 2) / 3})


def test_the_interval_of_the_token_mean_weighs_examples_by_their_tokens():
    # The longest answer has 60 of 1,830 tokens and the one loss that is not 1.
    found = compare({"tuned": evaluation("tuned", [1.0] * 59 + [7.1])}, "loss", OPTIONS, {}).token_loss["tuned"]
    assert found.mean == pytest.approx(1 + 6.1 * 60 / 1830)
    assert found.low == pytest.approx(1.0)  # of resamples without that answer
    assert 1.4 < found.high < 1 + 6.1 * 4 * 60 / 1500
    assert found.examples == 60


def test_without_losses_there_is_no_perplexity():
    tuned = evaluation("tuned", [1.0, 1.0], answers=["a", "b"])
    scored = [msgspec.structs.replace(row, scores={"chrf": 1.0}, tokens=0) for row in tuned.scored]
    found = compare({"tuned": msgspec.structs.replace(tuned, scored=scored)}, "chrf", OPTIONS, {})
    assert (found.perplexity, found.token_loss) == ({}, {})


def test_more_chrf_is_an_improvement_and_examples_without_an_answer_are_left_out():
    base = evaluation("base", [1, 1, 1], answers=["ab", "abc"])
    tuned = evaluation("tuned", [1, 1, 1], answers=["abcd", "ab"])
    found = compare({"base": base, "tuned": tuned}, "chrf", OPTIONS, {})
    assert [pair.improvement for pair in found.pairs["base"]] == [2.0, -1.0]
    assert next(figure for figure in found.figures if figure.metric == "chrf").models["tuned"].examples == 2


def test_a_champion_that_does_not_exist_is_left_out():
    evaluations = {"base": evaluation("base", [1]), "tuned": evaluation("tuned", [1]), "champion": nobody()}
    found = compare(evaluations, "loss", OPTIONS, {})
    assert set(found.pairs) == {"base"}
    assert set(found.figures[0].models) == {"base", "tuned"}


def test_losses_of_models_with_other_tokens_are_not_compared():
    champion = evaluation("champion", [1], base_model="other")
    evaluations = {"base": evaluation("base", [1]), "tuned": evaluation("tuned", [1]), "champion": champion}
    found = compare(evaluations, "loss", OPTIONS, {})
    assert set(found.pairs) == {"base"}
    assert "their tokens differ" in found.incomparable["champion"]
    assert set(found.figures[0].differences) == {"base"}
    assert set(compare(evaluations, "chrf", OPTIONS, {}).pairs) == {"base", "champion"}


def test_five_answers_stand_side_by_side():
    answers = ["a", "b", "c", "d", "e", "f"]
    base = evaluation("base", [1] * 8, answers=answers)
    tuned = evaluation("tuned", [1] * 8, answers=answers)
    found = compare({"base": base, "tuned": tuned}, "loss", OPTIONS, {})
    assert [side.answers for side in found.sides] == [{"base": text, "tuned": text} for text in answers[:5]]
    assert found.sides[1].scores["tuned"] == {"loss": 1, "chrf": 1}


def test_a_comparison_survives_its_file():
    found = compare({"base": evaluation("base", [1, 2]), "tuned": evaluation("tuned", [2, 1])}, "loss", OPTIONS, {})
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found
