from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.contracts.tuning import Recipe
from headstart.engine.training.loop import Loop
from headstart.engine.training.trial_training import peaks_of, train_briefly
from small_trainings import RECIPE, TooLarge, small_loop


def everything(loop: Loop) -> dict[str, Tensor]:
    model = loop.model
    return {
        f"{k}.{n}": t.clone()
        for k, m in {"b": model.backbone.module, "h": model.heads}.items()
        for n, t in m.state_dict().items()
    }


def scaled(loop: Loop, factor: float) -> list[float]:
    recipe = loop.plan.recipe
    rates = {name: factor * getattr(recipe, name) for name in ("learning_rate", "head_learning_rate")}
    return peaks_of(loop, recipe.model_copy(update=rates), loop.plan.rates)


def test_nothing_stays_of_a_rehearsal() -> None:
    loop = small_loop()
    before = everything(loop)
    train_briefly(loop, 5)
    after = everything(loop)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not loop.optimiser.state


def test_a_training_after_a_rehearsal_is_the_training_without_one() -> None:
    plain, rehearsed = small_loop(), small_loop()
    train_briefly(rehearsed, 6, peaks=scaled(rehearsed, 3.0))
    one, other = plain.run(), rehearsed.run()
    assert [epoch.val_loss for epoch in one.history] == [epoch.val_loss for epoch in other.history]


def test_it_lowers_the_validation_loss_as_a_training_does() -> None:
    loop = small_loop()
    start = loop.validation.losses()
    found = train_briefly(loop, 24)
    assert found.losses is not None
    assert found.losses.shape == start.shape
    assert found.losses.mean() < start.mean()


def test_it_may_be_longer_than_an_epoch() -> None:
    loop = small_loop()
    steps: list[int] = []
    make = loop.stepper
    loop.stepper = lambda batches, moment: steps.append(moment.step) or make(batches, moment)  # type: ignore
    train_briefly(loop, 2 * loop.steps + 1)
    assert len(steps) == 2 * loop.steps + 1


def test_other_rates_are_those_of_this_rehearsal_only() -> None:
    loop = small_loop()
    slow, fast = train_briefly(loop, 8, peaks=scaled(loop, 1e-6)), train_briefly(loop, 8)
    start = loop.validation.losses()
    assert slow.losses is not None and fast.losses is not None
    assert np.allclose(slow.losses, start, atol=1e-4)
    assert not np.allclose(fast.losses, start, atol=1e-2)


def test_a_rate_at_which_it_diverges_has_no_losses_and_does_no_harm() -> None:
    loop = small_loop(Recipe(**{**RECIPE.model_dump(), "clip": 0.0, "learning_rate": 1e30, "head_learning_rate": 1e30}))
    before = everything(loop)
    found = train_briefly(loop, 12)
    assert found.losses is None and "Try a lower learning rate" in found.failure
    after = everything(loop)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_it_says_that_the_memory_is_too_small() -> None:
    found = train_briefly(small_loop(objective=TooLarge(most=0)), 2)
    assert found.losses is None and "memory is too small" in found.failure


def test_the_first_step_is_not_counted_in_the_time_of_a_step() -> None:
    # the clock is read before the first step, after each step, and around the validation
    times = iter([0.0, 50.0, 50.0, 51.0, 51.0, 53.0, 53.0, 55.0, 55.0, 62.0])
    found = train_briefly(small_loop(), 4, now=lambda: next(times))
    assert found.step == pytest.approx(2.0)
    assert found.validation == pytest.approx(7.0)
