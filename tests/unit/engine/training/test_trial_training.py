from __future__ import annotations

import pytest
import torch
from torch import Tensor

from headstart.contracts.tuning import Recipe
from headstart.engine.training.loop import Loop
from headstart.engine.training.trial_training import seconds_per_step
from headstart.kernel.errors import TrainingError
from small_trainings import RECIPE, TooLarge, small_loop


def everything(loop: Loop) -> dict[str, Tensor]:
    model = loop.model
    return {
        f"{k}.{n}": t.clone()
        for k, m in {"b": model.backbone.module, "h": model.heads}.items()
        for n, t in m.state_dict().items()
    }


def test_nothing_stays_of_steps_that_were_timed() -> None:
    plain, loop = small_loop(), small_loop()
    before = everything(loop)
    seconds_per_step(loop, 5)
    after = everything(loop)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not loop.optimiser.state
    one, other = plain.run(), loop.run()
    assert [epoch.val_loss for epoch in one.history] == [epoch.val_loss for epoch in other.history]


def test_there_may_be_more_than_an_epoch_has() -> None:
    loop = small_loop()
    steps: list[int] = []
    make = loop.stepper
    loop.stepper = lambda batches, moment: steps.append(moment.step) or make(batches, moment)  # type: ignore
    seconds_per_step(loop, 2 * loop.steps + 1)
    assert len(steps) == 2 * loop.steps + 1


def test_a_rate_at_which_it_diverges_does_no_harm() -> None:
    loop = small_loop(Recipe(**{**RECIPE.model_dump(), "clip": 0.0, "learning_rate": 1e30, "head_learning_rate": 1e30}))
    before = everything(loop)
    with pytest.raises(TrainingError, match="Try a lower learning rate"):
        seconds_per_step(loop, 12)
    after = everything(loop)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_it_says_that_the_memory_is_too_small() -> None:
    with pytest.raises(TrainingError, match="memory is too small"):
        seconds_per_step(small_loop(objective=TooLarge(most=0)), 2)


def test_the_first_step_is_not_counted() -> None:
    times = iter([0.0, 50.0, 50.0, 51.0, 51.0, 53.0, 53.0, 55.0, 55.0])  # before the first step and after each
    assert seconds_per_step(small_loop(), 4, now=lambda: next(times)) == pytest.approx(2.0)
