"""A fine-tuning replaces the probe only where validation shows it, by an interval that covers with few examples too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.contracts.prediction import Prediction
from headstart.search.probe_comparison import Where, decided
from headstart.tasks.classification.task import BoundClassification, Classification

EXAMPLES = 40


def prediction(right: np.ndarray, labels: np.ndarray) -> Prediction:
    """Equally sure of right and wrong answers, so that the loss says what the accuracy says."""
    sure = np.where(right, 0.9, 0.1)
    probabilities = np.stack([np.where(labels == k, sure, 1 - sure) for k in range(2)], axis=1)
    return Prediction({"probabilities": probabilities})


@pytest.mark.parametrize(("won", "one_error", "better"), [(4, False, False), (9, False, True), (4, True, True)])
def test_a_few_examples_won_are_no_evidence(won: int, one_error: bool, better: bool) -> None:
    labels = np.arange(EXAMPLES) % 2
    task = BoundClassification(settings=Classification(), classes=("a", "b"), counts=(20, 20))
    data: Any = SimpleNamespace(task=task, targets_of=lambda rows: {"label": labels}, groups_of=lambda rows: None)
    context: Any = SimpleNamespace(data=data, plan=SimpleNamespace(seed=0))
    probe, tuned = np.arange(EXAMPLES) >= 10, np.arange(EXAMPLES) >= 10 - won
    where = Where("on validation", "on validation", np.arange(EXAMPLES), one_error)
    found, reason = decided(context, where, prediction(tuned, labels), prediction(probe, labels))
    assert found is better, reason
