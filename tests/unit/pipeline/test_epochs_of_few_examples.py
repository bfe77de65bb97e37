"""A training by steps of few examples has enough epochs wherever it is asked for, unless their number is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_tuned_arms import numbers

from headstart.contracts.tuning import Recipe
from headstart.pipeline.memory_data import examples_of
from headstart.pipeline.memory_fit import fit_in_memory
from headstart.pipeline.plan import Plan
from headstart.search.train_arms import train_arms

GIVEN = pytest.mark.parametrize(("given", "epochs"), [({}, 100), ({"epochs": 3}, 3)])


@pytest.mark.slow
@GIVEN
def test_a_fit_without_a_budget_makes_enough_steps_too(given: dict[str, Any], epochs: int) -> None:
    settings = {"tuning": {"patience": 1, "learning_rate": 1.0, **given}}
    context = replace(numbers(), plan=Plan(data="<made>", tuning="full", scratch=False, settings=settings))
    arms = train_arms(context)
    assert arms.trained[0].progress is not None and arms.trained[0].progress.epochs == epochs
    assert [one.value for one in arms.context.log.made if one.what == "full.epochs"] == ([] if given else ["100"])


@GIVEN
def test_an_estimator_does_so(given: dict[str, Any], epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def asked(context: Any, recipe: Recipe, *rest: Any) -> None:
        raise Asked(recipe.epochs)

    monkeypatch.setattr("headstart.search.train_arms.trained_and_refitted", asked)
    values = np.random.default_rng(0).normal(size=(40, 3))
    plan = Plan(data="<numbers>", task="classification", tuning="head_only", settings={"tuning": given})
    with pytest.raises(Asked, match=f"^{epochs}$"):
        fit_in_memory(examples_of(values, "table", (values[:, 0] > 0).astype(np.int64)), plan, train_arms)
