"""Temperature and calibration error on edge cases."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.numerics.calibration import confidence_bins, expected_calibration_error, fit_temperature


def test_fewer_than_ten_examples_leave_the_temperature_at_one() -> None:
    assert fit_temperature(np.array([[9.0, 0.0]] * 9), np.ones(9, dtype=int)) == 1.0


def test_separable_validation_data_do_not_freeze_the_probabilities() -> None:
    labels = np.arange(30) % 2
    logits = np.where(labels[:, None] == np.arange(2), 2.0, -2.0)
    assert 0.2 < fit_temperature(logits, labels) < 1.0


def test_labels_that_contradict_every_logit_reach_the_hottest_temperature() -> None:
    labels = np.arange(2000) % 2
    logits = np.where(labels[:, None] == np.arange(2), -5.0, 5.0)
    assert fit_temperature(logits, labels) == pytest.approx(20.0, rel=1e-3)


def test_huge_logits_do_not_overflow() -> None:
    labels = np.arange(100) % 3
    logits = np.eye(3)[labels] * 1e4
    logits[0] = logits[1]
    assert 0.05 <= fit_temperature(logits, labels) <= 20


def test_bins_are_open_below_and_closed_above() -> None:
    assert confidence_bins(np.array([0.0, 1 / 15, 0.0667, 0.5, 1.0])).tolist() == [0, 0, 1, 7, 14]


def test_an_earned_confidence_has_no_error_and_no_weight_no_value() -> None:
    confidence = np.full(4, 0.75)
    correct = np.array([True, True, True, False])
    errors = expected_calibration_error(confidence, correct, np.array([[1.0] * 4, [0, 0, 0, 1.0], [0] * 4]))
    assert errors[0] == pytest.approx(0.0)
    assert errors[1] == pytest.approx(0.75)
    assert np.isnan(errors[2])
