"""Validators against their formulas written out, example by example."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headstart.contracts.domains import LinearHead
from headstart.contracts.validator import Outcome
from headstart.kernel import registry
from headstart.kernel.randomness import draw_seed

N, WIDTH, CLASSES = 40, 4, 3
DRAWS = np.random.default_rng(7)
HEAD = LinearHead(DRAWS.normal(size=(CLASSES, WIDTH)), DRAWS.normal(size=CLASSES))
SOURCE, TARGET = DRAWS.dirichlet(np.ones(CLASSES), size=(2, N))
LABELS = DRAWS.integers(CLASSES, size=N)
RATIOS = DRAWS.gamma(0.5, size=N)
FEATURES = DRAWS.normal(size=(2, N, WIDTH)).astype(np.float32)


def _predict(features: np.ndarray) -> np.ndarray:
    odds = np.exp(HEAD.logits(features))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _right(i: int) -> bool:
    return max(range(CLASSES), key=lambda k: SOURCE[i, k]) == LABELS[i]


def _importance_weighted() -> float:
    ratios = RATIOS / RATIOS.mean()
    return sum(ratios[i] * _right(i) for i in range(N)) / N


def _dev() -> float:
    """The risk, as You et al. write it, of weights divided by their largest, as in Musgrave et al."""
    weights = [ratio / max(RATIOS) for ratio in RATIOS]
    weighted = [weights[i] * -math.log(SOURCE[i, LABELS[i]]) for i in range(N)]
    covariance = np.cov(weighted, weights, ddof=1)
    eta = -covariance[0, 1] / covariance[1, 1]
    return -(sum(weighted) / N + eta * sum(weights) / N - eta)


def _entropy_of(p: np.ndarray) -> float:
    return -sum(x * math.log(x) for x in p)


def _mixval() -> float:
    other = np.random.default_rng(draw_seed(3, "mixed target examples")).permutation(N)
    told: dict[bool, list[bool]] = {True: [], False: []}
    for i, j in enumerate(other):
        mixed = (0.55 * FEATURES[1][i] + 0.45 * FEATURES[1][j]).astype(np.float32)
        kept = _predict(mixed[None])[0].argmax() == TARGET[i].argmax()
        told[bool(TARGET[i].argmax() == TARGET[j].argmax())].append(bool(kept))
    return (sum(told[True]) / len(told[True]) + sum(told[False]) / len(told[False])) / 2


WANTED = {
    "source_accuracy": sum(map(_right, range(N))) / N,
    "importance_weighted": _importance_weighted(),
    "dev": _dev(),
    "entropy": -sum(map(_entropy_of, TARGET)) / N,
    "infomax": _entropy_of(TARGET.mean(axis=0)) - sum(map(_entropy_of, TARGET)) / N,
    "mixval": _mixval(),
}


@pytest.mark.parametrize("name", WANTED)
def test_scores_equal_their_formulas(name: str) -> None:
    outcome = Outcome(SOURCE, LABELS, TARGET, *FEATURES, RATIOS / RATIOS.mean(), _predict)
    assert registry.plugin("validators", name)().score(outcome, 3) == pytest.approx(WANTED[name], abs=1e-9)
