"""Ranks of models on the same examples, and the cross-validated probe that they are ranked by."""

from __future__ import annotations

import math

import numpy as np
import pytest

from head_shapes import SHAPES
from headstart.contracts.prediction import Prediction
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import held_out_prediction
from headstart.evidence.ranking import leaders_first, ranks
from headstart.tasks.classification.task import Classification
from labelled import labelled

N = 100
TASK = Classification().bind(labelled(["a", "b"]), SHAPES)
ACCURACY, LOG_LOSS = TASK.evaluation.primary, TASK.evaluation.metrics[4]
LABELS = {"label": np.arange(N) % 2}


def predicted(wrong: int, confidence: float = 0.8) -> Prediction:
    """Predictions of which the first few are wrong."""
    chosen = np.where(np.arange(N) < wrong, 1 - LABELS["label"], LABELS["label"])
    return Prediction({"probabilities": np.where(np.arange(2) == chosen[:, None], confidence, 1 - confidence)})


def test_the_better_of_two_is_the_best_as_often_as_resamples_say() -> None:
    first, second = ranks(ACCURACY, LABELS, [predicted(10), predicted(40)], seed=0)
    assert first.best > 0.99 and (first.low, first.high) == (1, 1) and (second.low, second.high) == (2, 2)


def test_equal_models_share_the_first_place() -> None:
    found = ranks(ACCURACY, LABELS, [predicted(10), predicted(10), predicted(60)], seed=0)
    assert [one.best for one in found] == pytest.approx([0.5, 0.5, 0.0])
    assert sum(one.best for one in found) == pytest.approx(1.0)


def test_a_loss_ranks_the_smaller_first() -> None:
    sure, unsure = ranks(LOG_LOSS, LABELS, [predicted(2, 0.9), predicted(2, 0.6)], seed=0)
    assert sure.best > 0.9 > 0.1 > unsure.best


def test_groups_are_drawn_together() -> None:
    groups = np.repeat(np.arange(5), N // 5)  # all errors of the worse one lie in one group of five
    alone, together = (
        ranks(ACCURACY, LABELS, [predicted(0), predicted(12)], groups=given, seed=0)[0].best for given in (None, groups)
    )
    assert together < alone


def test_no_example_is_predicted_by_a_head_that_has_seen_its_label() -> None:
    draws = np.random.default_rng(0)
    features = draws.normal(size=(N, 200)).astype(np.float32)  # a head that has seen a label reproduces it
    cut = folds(np.arange(N), LABELS["label"], None, 5, 0)
    found = held_out_prediction(TASK, features, LABELS, cut, None, 0)
    assert ACCURACY.score(LABELS, found) == pytest.approx(0.5, abs=0.15)


def test_held_out_predictions_stand_in_the_order_of_the_examples() -> None:
    features = np.eye(2, dtype=np.float32)[LABELS["label"]] + 0.01
    cut = folds(np.arange(N), LABELS["label"], None, 5, 0)
    assert ACCURACY.score(LABELS, held_out_prediction(TASK, features, LABELS, cut, None, 0)) == 1.0


def test_of_those_level_with_the_best_the_largest_stands_first() -> None:
    loss, level, sizes = [0.1, 0.2, 0.15, 0.12, 0.9], [True, True, True, True, False], [1.0, 3.0, 2.0, math.nan, 9.0]
    assert leaders_first(loss, level, sizes) == [1, 2, 0, 3, 4]
    assert leaders_first([0.3, 0.1, 0.2], [False, True, False], [3.0, 1.0, 2.0]) == [1, 2, 0]
