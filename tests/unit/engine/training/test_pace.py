from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.engine.training.pace import Pace
from headstart.engine.training.step_batches import step_batches
from small_trainings import changed, small_loop


def pace(budget: float | None = 100.0, passes_after: int = 0, validation: float = 4.0, step: float = 1.0) -> Pace:
    found = Pace(budget, passes_after, validation=validation)
    found.steps.append(step)
    return found


def test_a_step_is_allowed_while_it_and_what_follows_the_last_one_fit() -> None:
    assert pace().allows_a_step(95.0) and not pace().allows_a_step(95.1)
    assert pace(passes_after=2).allows_a_step(87.0) and not pace(passes_after=2).allows_a_step(87.1)
    assert pace(budget=None).allows_a_step(1e9)


def test_a_step_with_more_work_in_it_needs_more_time() -> None:
    assert pace().allows_a_step(86.0, work=10.0) and not pace().allows_a_step(86.1, work=10.0)


def test_the_slowest_of_the_last_steps_counts() -> None:
    found = pace()
    found.steps.append(20.0)
    assert not found.allows_a_step(80.0)


def test_as_many_epochs_are_planned_as_fit_with_their_validations() -> None:
    assert pace().affordable(0.0, 1000, 10) == (int(100 / (10.5 + 4)), 10)
    assert pace().affordable(50.0, 1000, 10) == (int(50 / (10.5 + 4)), 10)
    assert pace().affordable(0.0, 2, 10) == (2, 10)
    assert pace(budget=None).affordable(0.0, 9, 10) == (9, 10)


def test_an_epoch_that_does_not_fit_is_cut_short() -> None:
    assert pace().affordable(0.0, 5, 1000) == (1, int(96 / 1.05))
    assert pace().affordable(99.0, 5, 1000) == (1, 1)


class Clock:
    """Time that passes only where something is said to take some."""

    now = 0.0

    def take(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: found.now)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("extra", [{}, {"soup": True, "interpolate": True}], ids=["plain", "with passes after"])
@pytest.mark.parametrize("budget", [1.0, 2.5])
def test_a_training_keeps_to_its_budget_and_uses_it(budget: float, extra: dict[str, Any], clock: Clock) -> None:
    loop = small_loop(changed(epochs=100_000, patience=100_000, **extra), budget=budget)
    run = loop.micro.run
    loop.micro.run = lambda *given: (clock.take(0.02), run(*given))[1]  # type: ignore[method-assign]
    progress = loop.run()
    assert 0.5 * budget <= clock.now <= budget
    assert progress.epochs < 100_000
    assert progress.cut_off == f"{len(progress.history)} of 100,000 epochs"
    assert progress.stopped == f"the budget was used after {progress.cut_off}"


def test_a_budget_ends_a_training_that_becomes_slower(clock: Clock) -> None:
    loop = small_loop(changed(epochs=100_000, patience=100_000), budget=1.0)
    run = loop.micro.run
    loop.micro.run = lambda *given: (clock.take(0.01 + 0.2 * clock.now), run(*given))[1]  # type: ignore[method-assign]
    progress = loop.run()
    assert re.fullmatch(r"the budget was used after [\d,]+ of [\d,]+ (steps|epochs)", progress.stopped)
    assert 0.5 <= clock.now <= 1.25


@pytest.mark.slow
@pytest.mark.parametrize("feared", [2.0, 0.1], ids=["as of an untrained writer", "as it is"])
def test_time_that_validation_does_not_need_after_all_goes_to_more_epochs(feared: float, clock: Clock) -> None:
    loop = small_loop(changed(epochs=100_000, patience=100_000), budget=10.0)
    run = loop.micro.run
    loop.micro.run = lambda *given: (clock.take(0.02), run(*given))[1]  # type: ignore[method-assign]
    loop.validation.estimated_seconds = lambda: feared  # type: ignore[method-assign]
    progress = loop.run()
    assert 8.0 <= clock.now <= 10.0
    rates = [one.learning_rate for one in progress.history]
    assert rates[-1] < 0.1 * max(rates)


def test_less_than_an_epoch_is_told_in_steps_and_a_whole_training_is_not_cut_off(clock: Clock) -> None:
    for seconds, stopped in ((0.3, "the budget was used after {} of 12 steps"), (60.0, "all 3 epochs done")):
        clock.now = 0.0
        loop = small_loop(changed(epochs=3), budget=seconds)
        run = loop.micro.run
        loop.micro.run = lambda *given, run=run: (clock.take(0.05), run(*given))[1]  # type: ignore[method-assign]
        progress = loop.run()
        assert progress.stopped == stopped.format(progress.steps)
        assert bool(progress.cut_off) == (seconds < 1)


def test_a_fixed_number_of_epochs_is_kept_whatever_the_recipe_says() -> None:
    progress = small_loop(changed(epochs=50), epochs=3).run()
    assert (progress.epochs, len(progress.history), progress.stopped) == (3, 3, "all 3 epochs done")
    assert progress.history[-1].learning_rate < 0.1 * 0.02


def test_a_short_training_warms_up_for_the_steps_it_asks_for() -> None:
    runs = [small_loop(changed(epochs=1, warmup=0.5, warmup_steps=steps)).run() for steps in (0, 100)]
    assert [progress.steps for progress in runs] == [4, 4]
    usual, slow = (progress.history[-1].learning_rate for progress in runs)
    assert slow / usual == pytest.approx((0.75 / 0.9) / 0.5)


def test_the_work_in_a_batch_is_that_of_its_longest_input_for_all_beside_a_usual_one() -> None:
    loop = small_loop(changed(epochs=1))
    stream = loop.streams["source"]
    loop.batches.streams = {"source": replace(stream, lengths=np.arange(len(stream.rows)) + 1)}
    found = [
        loop.batches.work(batches)
        for batches in step_batches(loop.batches.streams, 0, range(loop.steps), loop.processes)
    ]
    assert np.mean(found) == pytest.approx(1.0) and np.ptp(found) > 0.2


def test_where_no_lengths_are_known_batches_are_alike() -> None:
    stream = small_loop(changed(epochs=1)).streams["source"]
    assert stream.work(stream.rows[:8]) == 8.0
    assert replace(stream, lengths=np.full(len(stream.rows), 3)).work(stream.rows[:8]) == 24.0
