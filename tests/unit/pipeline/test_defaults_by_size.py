from __future__ import annotations

import pytest

from headstart.contracts.tuning import Recipe
from headstart.pipeline.defaults_by_size import batch_size, by_size, first_share, with_enough_epochs
from headstart.tuning.full import Full


@pytest.mark.parametrize(("examples", "batch"), [(1, 8), (16, 8), (64, 8), (128, 16), (300, 32), (50_000, 32)])
def test_batches_leave_some_steps_per_epoch(examples: int, batch: int) -> None:
    assert batch_size(examples) == batch


def test_the_fewer_the_examples_the_more_the_epochs() -> None:
    epochs = [by_size(examples, 12)["epochs"].value for examples in (20, 300, 1000, 3000, 100_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > 5 * epochs[-1]


def test_early_stages_are_held_back_more_where_examples_are_few() -> None:
    few, many = (by_size(examples, 13)["stage_decay"].value for examples in (100, 10_000))
    assert few**12 == pytest.approx(0.1, rel=0.05)
    assert many**12 == pytest.approx(0.3, rel=0.05)


def test_no_number_of_examples_makes_early_stages_jump() -> None:
    shares = [first_share(examples) for examples in (1, 100, 999, 1001, 10_000, 1_000_000)]
    assert shares == sorted(shares)
    assert shares[0] == shares[1] == pytest.approx(0.1) and shares[-1] == shares[-2] == pytest.approx(0.3)
    assert shares[3] / shares[2] < 1.01


@pytest.mark.parametrize("stages", [1, 2, 25])
def test_all_are_settings_of_a_recipe_with_a_reason(stages: int) -> None:
    found = by_size(200, stages)
    Recipe(**{name: one.value for name, one in found.items()})
    assert all(one.reason for one in found.values())


def test_few_examples_have_more_epochs_than_a_tuning_has_of_its_own_and_more_patience() -> None:
    recipe, decision = with_enough_epochs(Full(batch_size=8), 16)
    assert (recipe.epochs, recipe.patience) == (100, 33)
    assert decision is not None and (decision.what, decision.value) == ("full.epochs", "100")


@pytest.mark.parametrize("recipe", [Full(batch_size=8, epochs=6), Full()])
def test_epochs_that_are_the_user_s_or_enough_stay(recipe: Full) -> None:
    assert with_enough_epochs(recipe, 16 if recipe.epochs == 6 else 10_000) == (recipe, None)


def test_patience_that_is_the_user_s_stays() -> None:
    recipe, _ = with_enough_epochs(Full(batch_size=8, patience=2), 16)
    assert (recipe.epochs, recipe.patience) == (100, 2)
