from __future__ import annotations

import math

from headstart.pipeline.budget import Budget


def test_what_is_left_falls_as_the_clock_goes_on() -> None:
    clock = iter([100.0, 103.0, 103.0, 109.0, 150.0])
    time_budget = Budget(10.0, lambda: next(clock))
    assert time_budget.used() == 3.0
    assert time_budget.left() == 7.0
    assert time_budget.left() == 1.0
    assert time_budget.left() == 0.0


def test_without_a_limit_there_is_always_time() -> None:
    assert math.isinf(Budget(None).left())


def test_an_interrupted_session_counts() -> None:
    time_budget = Budget(10.0, lambda: 5.0)
    time_budget.earlier = 4.0
    assert time_budget.left() == 6.0
