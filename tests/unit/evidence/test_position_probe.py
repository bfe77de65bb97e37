"""The metric of words and pixels against scikit-learn's, and its replicates against a sum over repeated examples."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from headstart.contracts.prediction import Prediction
from headstart.evidence.position_probe import FOUND, TRUTH, metric_of_positions


def test_it_is_the_mean_recall_of_the_classes_that_there_are_also_when_reweighted() -> None:
    draws = np.random.default_rng(0)
    truth = draws.choice(4, 200, p=[0.7, 0.2, 0.09, 0.01])
    found = np.where(draws.random(200) < 0.7, truth, draws.integers(0, 4, 200))
    metric, prediction = metric_of_positions("words"), Prediction({FOUND: found})
    assert metric.score({TRUTH: truth}, prediction) == pytest.approx(balanced_accuracy_score(truth, found), abs=1e-12)
    weights = draws.integers(0, 3, (5, 200))
    expected = [balanced_accuracy_score(np.repeat(truth, row), np.repeat(found, row)) for row in weights]
    assert metric.replicates({TRUTH: truth}, prediction)(weights) == pytest.approx(expected, abs=1e-12)
