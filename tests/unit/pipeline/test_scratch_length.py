"""The length of training from scratch without a budget: by data, backbone and the model's own steps, by no clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_kept_views import context as pictures_bench  # noqa: F401
from test_tuned_arms import numbers

from headstart.engine.training.checkpoint import Progress
from headstart.pipeline.context import FitContext
from headstart.pipeline.plan import Plan
from headstart.pipeline.trained import Arms
from headstart.search.scratch_length import FEWEST_STEPS, MOST_STEPS, count_operations, scratch_length, still_rises
from headstart.search.train_arms import train_arms
from headstart.tuning.scratch import Scratch

EPOCHS_OF_FEW = 100


def made(steps: int) -> Progress:
    return Progress(epochs=2 * steps, steps=1, epoch=steps)


def arms(**scratch: Any) -> Arms:
    plan = Plan(data="<made>", settings={"scratch": {"rates_tried": [1.0], **scratch}})
    return train_arms(replace(numbers(), plan=plan))


def test_few_examples_are_seen_as_often_as_a_small_net_needs() -> None:
    context = numbers()  # 60 examples to train on: 2 steps per epoch
    length = scratch_length(context, Scratch(), None, count_operations(context))
    assert (length.recipe.epochs, length.recipe.max_steps, length.steps) == (EPOCHS_OF_FEW, None, 2 * EPOCHS_OF_FEW)


def test_it_has_no_fewer_steps_than_the_model_made() -> None:
    length = scratch_length(numbers(), Scratch(), made(901), 1e15)
    assert (length.recipe.epochs, length.recipe.max_steps, length.steps) == (451, None, 902)
    assert "901 steps that the model made" in length.reason


@pytest.mark.parametrize(("operations", "steps"), [(1e9, 193), (1e15, FEWEST_STEPS)])
def test_a_large_backbone_cuts_it(operations: float, steps: int) -> None:
    length = scratch_length(numbers(), Scratch(), made(3), operations)
    assert length.recipe.max_steps == length.steps == steps
    assert "--set scratch.epochs" in length.reason


def test_many_steps_of_a_small_net_are_cut_too() -> None:
    length = scratch_length(numbers(), Scratch(batch_size=1), None, 1.0)
    assert length.recipe.max_steps == length.steps == MOST_STEPS


@pytest.mark.parametrize("given", [{"epochs": 7}, {"max_steps": 9}])
def test_what_the_user_gave_is_kept(given: dict[str, int]) -> None:
    length = scratch_length(numbers(), Scratch(**given), made(5000), 1e15)
    assert all(getattr(length.recipe, name) == value for name, value in given.items())
    assert length.steps == given.get("max_steps", 2 * given.get("epochs", 0))


def test_operations_are_counted_for_each_input(pictures_bench: FitContext, tmp_path: Path) -> None:  # noqa: F811
    found = count_operations(pictures_bench)
    assert found > 1e6 and found == count_operations(pictures_bench)


@pytest.mark.slow
@pytest.mark.parametrize(("most", "epochs", "steps"), [(9, 4, 2), (1, 1, 1)])
def test_it_trains_for_so_many_steps_and_the_report_says_so(most: int, epochs: int, steps: int) -> None:
    found = arms(max_steps=most)
    (scratch,) = (arm for arm in found.trained if arm.key == "scratch")
    assert scratch.progress is not None and (scratch.progress.epochs, scratch.progress.steps) == (epochs, steps)
    (told,) = (one for one in found.context.log.made if one.what == "length of training from scratch")
    assert told.value == f"at most {most} steps" and "scratch.max_steps was given" in told.reason
    assert scratch.chosen["max_steps"] == most


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scratch", "says"),
    [
        ({"epochs": 3}, "cut off after 3 of 60 epochs"),
        ({"max_steps": 1}, "cut off after 1 of 100 epochs"),
        ({"learning_rate": 1e-3}, "still improving after 100 epochs"),
        ({"learning_rate": 1e-5, "head_learning_rate": 1e-5}, "no better after 35 epochs than after the first"),
        ({"epochs": 200, "learning_rate": 0.05, "patience": 5}, ""),
    ],
)
def test_what_a_training_from_scratch_lacked_is_recorded(scratch: dict[str, Any], says: str) -> None:
    (found,) = (arm for arm in arms(**scratch).trained if arm.key == "scratch")
    assert found.shortcoming == says
    assert found.chosen["epochs_planned"] == max(scratch.get("epochs", 100), 60)


@pytest.mark.parametrize(
    ("curve", "rises"),
    [
        ([0.5], True),
        ([0.5, 0.7], True),
        ([0.5, 0.5], False),
        ([0.1 * k for k in range(10)], True),
        ([1 - 0.9**k for k in range(60)], False),
        ([1 - 0.97**k for k in range(60)], True),
        ([0.5, 0.9, 0.8, 0.7, 0.6], False),
    ],
)
def test_a_curve_rises_where_its_end_still_adds(curve: list[float], rises: bool) -> None:
    assert still_rises(curve, [1.0] * len(curve)) == rises


def test_a_curve_that_is_flat_because_the_rate_has_fallen_may_still_rise() -> None:
    rates = 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, 100))
    assert still_rises(list(np.cumsum(rates)), list(rates)) and not still_rises(list(np.cumsum(rates)), [1.0] * 100)
