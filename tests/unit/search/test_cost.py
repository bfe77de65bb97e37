from __future__ import annotations

import pytest

from headstart.search.cost import Cost


def test_a_forecast_adds_up_start_steps_and_validations() -> None:
    cost = Cost(step=0.5, steps=10, validation=2.0, start=3.0)
    assert cost.epoch == 7.0
    assert cost.seconds(4) == 3.0 + 4 * 7.0
    assert cost.seconds(0) == 0.0


def test_a_real_time_corrects_the_forecast_to_itself() -> None:
    cost = Cost(step=0.5, steps=10, validation=2.0, start=3.0).corrected(epochs=2, seconds=24.0)
    assert cost.seconds(2) == pytest.approx(24.0)
    assert cost.seconds(4) == pytest.approx(3.0 + 2 * 21.0)


def test_corrections_do_not_pile_up() -> None:
    cost = Cost(step=1.0, steps=4, validation=0.0)
    assert cost.corrected(1, 8.0).corrected(1, 8.0).epoch == pytest.approx(8.0)


def test_a_disturbance_is_not_believed_without_bound() -> None:
    assert Cost(step=1.0, steps=1, validation=0.0).corrected(1, 1000.0).epoch == 4.0


def test_no_epoch_says_nothing() -> None:
    cost = Cost(step=1.0, steps=1, validation=0.0, start=1.0)
    assert cost.corrected(0, 50.0) == cost
