"""Every validator: the same score each time, a finite one where data are odd, NaN where it has nothing to rest on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from plugins import every, sample

from headstart.contracts.domains import LinearHead
from headstart.contracts.validator import Outcome

N, WIDTH, CLASSES = 60, 5, 3


def _outcome(wrong: float, count: int = N) -> Outcome:
    """Of a model that is wrong on a share of the held-out examples, and as unsure of its target."""
    draws = np.random.default_rng(0)
    labels = np.arange(count) % CLASSES
    told = np.where(np.arange(count) < wrong * count, (labels + 1) % CLASSES, labels)
    head = LinearHead(draws.normal(size=(CLASSES, WIDTH)), np.zeros(CLASSES))
    target = np.abs(np.eye(CLASSES)[labels] - wrong / 2)
    target /= target.sum(axis=1, keepdims=True)
    features = draws.normal(size=(2, count, WIDTH)).astype(np.float32)

    def predict(found: np.ndarray) -> np.ndarray:
        odds = np.exp(head.logits(found))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    source = 0.9 * np.eye(CLASSES)[told] + 0.1 / CLASSES
    return Outcome(source, labels, target, *features, np.ones(count), predict)


@every("validators")
def test_a_better_model_has_no_lower_score_and_equal_ones_have_the_same(name: str) -> None:
    validator = sample("validators", name)
    good, same, bad = (validator.score(_outcome(wrong), 0) for wrong in (0.0, 0.0, 0.6))
    assert good == same and good >= bad


@every("validators")
@pytest.mark.parametrize("what", ["one class", "one weight", "sure and wrong"])
def test_odd_outcomes_have_a_finite_score(name: str, what: str) -> None:
    outcome = _outcome(0.2)
    if what == "one class":
        outcome = outcome._replace(target=np.tile(np.eye(CLASSES)[0], (N, 1)))
    if what == "one weight":
        outcome = outcome._replace(ratios=N * np.eye(N)[0])
    if what == "sure and wrong":
        outcome = outcome._replace(source=np.eye(CLASSES)[(outcome.labels + 1) % CLASSES])
    assert math.isfinite(sample("validators", name).score(outcome, 0))


@every("validators")
def test_without_examples_there_is_no_score(name: str) -> None:
    assert math.isnan(sample("validators", name).score(_outcome(0.0, 0), 0))
