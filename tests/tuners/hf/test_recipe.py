"""Defaults of each base model, and what the options make of them."""

import pytest

from tuning.errors import TuningError
from tuning.tuners.hf.train.recipe import RECIPES, Recipe, make_recipe, steps_of
from tuning.tuners.protocol import TuneOptions


@pytest.mark.parametrize("preference", [False, True])
@pytest.mark.parametrize("base_model", ["smollm2", "some/model"])
def test_all_weights_are_trained_at_a_tenth_of_the_adapters_rate(base_model: str, preference: bool) -> None:
    adapter = make_recipe(TuneOptions(base_model=base_model), preference)
    full = make_recipe(TuneOptions(base_model=base_model, full=True), preference)
    assert (adapter.trained, full.trained) == ("a LoRA adapter of rank 16", "all weights")
    assert full.learning_rate == pytest.approx(adapter.learning_rate / 10)
    assert full.steps == adapter.steps


def test_what_is_trained_in_full_anyway_keeps_its_rate() -> None:
    assert make_recipe(TuneOptions(base_model="tiny", full=True), preference=False) == RECIPES["tiny"]


def test_what_is_given_wins_over_the_defaults_and_full_over_a_rank() -> None:
    options = TuneOptions(full=True, lora_rank=8, learning_rate=1e-3, epochs=2, batch_size=4, seed=7)
    recipe = make_recipe(options, preference=False)
    assert (recipe.full, recipe.learning_rate, recipe.batch_size, recipe.seed) == (True, 1e-3, 4, 7)
    assert steps_of(recipe, 100) == 50


def test_pairs_have_a_recipe_of_their_own_or_a_tenth_of_the_rate() -> None:
    alone, pairs = (make_recipe(TuneOptions(base_model="smollm2"), preference) for preference in (False, True))
    assert (pairs.max_length, pairs.steps) > (alone.max_length, alone.steps)
    assert (pairs.learning_rate, pairs.pull, alone.pull) == (3e-4, 0, 0.3)
    other = make_recipe(TuneOptions(base_model="some/model"), preference=True)
    assert other == Recipe(learning_rate=pytest.approx(Recipe().learning_rate / 10))


def test_all_weights_are_not_pulled_to_a_base_that_is_gone() -> None:
    assert make_recipe(TuneOptions(base_model="smollm2", full=True), preference=False).pull == 0


@pytest.mark.parametrize("given", [{"steps": -1}, {"learning_rate": -1e-4}, {"lora_rank": -8}])
def test_an_impossible_number_is_one_line(given: dict[str, float]) -> None:
    (name,) = given
    with pytest.raises(TuningError, match=f"--{name.replace('_', '-')} must be above 0"):
        make_recipe(TuneOptions(**given), preference=False)


@pytest.mark.parametrize(("base_model", "of_the_sample", "of_few"), [("smollm2", 20, 18), ("tiny", 40, 9)])
def test_few_rows_are_read_three_times_at_most_unless_a_length_is_given(
    base_model: str, of_the_sample: int, of_few: int
) -> None:
    recipe = make_recipe(TuneOptions(base_model=base_model), preference=False)
    assert (steps_of(recipe, 163), steps_of(recipe, 25), steps_of(recipe, 1)) == (of_the_sample, of_few, 1)
    given = make_recipe(TuneOptions(base_model=base_model, steps=40), preference=False)
    assert steps_of(given, 25) == 40
    passes = make_recipe(TuneOptions(base_model=base_model, epochs=8), preference=False)
    assert steps_of(passes, 25) == round(25 * 8 / passes.batch_size)
