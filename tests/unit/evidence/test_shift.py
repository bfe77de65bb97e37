"""Shift between two sets: found where there is one, and rarely where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from headstart.evidence import shift as module
from headstart.evidence.shift import shift
from headstart.numerics.standardisation import standardise


def sets(apart: float, count: int = 40, width: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    one, other = draws.normal(size=(2, count, width)).astype(np.float32)
    other[:, 0] += apart
    return one, other


def test_sets_that_differ_are_told_apart() -> None:
    found = shift(*sets(4.0), seed=0)
    assert found.p == pytest.approx(1 / 500) and found.auc > 0.9 and found.distance > 1.2 and found.examples == 40


def test_halves_of_one_set_are_rarely_called_shifted() -> None:
    found = [shift(*sets(0.0, seed=seed), seed=seed).p for seed in range(60)]
    assert sum(p <= 0.05 for p in found) <= 8  # 3 expected, more than 8 in one run of 200
    assert 0.35 < float(np.mean(found)) < 0.65


def test_scores_are_those_of_ridge_regressions_without_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = sets(1.0, count=15, width=6)
    monkeypatch.setattr(module, "PERMUTATIONS", 1)
    features = standardise(np.concatenate([one, other]), each=True)[0].astype(np.float64)
    squares = np.linalg.eigvalsh(features.T @ features)
    grid = np.exp(np.linspace(-10, 20, 200_001))
    penalty = grid[np.abs((squares[:, None] / (squares[:, None] + grid)).sum(axis=0) - 0.25 * 6).argmin()]
    sign, scores = np.repeat([-1.0, 1.0], 15), np.empty(30)
    for row in range(30):
        rest = np.delete(np.arange(30), row)
        ridge = Ridge(alpha=penalty, fit_intercept=False).fit(features[rest], sign[rest])
        scores[row] = ridge.predict(features[[row]])[0]
    found = shift(one, other, seed=0)
    assert found.auc == pytest.approx(roc_auc_score(sign > 0, scores))
    assert found.distance == pytest.approx(max(0.0, 2 * (1 - 2 * np.mean(np.sign(scores) != sign))))


@pytest.mark.parametrize("what", ["constant", "copies", "one wide row each"])
def test_odd_sets_have_no_shift_and_no_fault(what: str) -> None:
    one, other = sets(0.0, count=10)
    if what == "constant":
        one, other = np.ones_like(one), np.ones_like(other)
    if what == "copies":
        other = one
    if what == "one wide row each":
        one, other = sets(0.0, count=10, width=500)
    found = shift(one, other, seed=0)
    assert found.p > 0.05 and 0.0 <= found.distance <= 2.0


def test_within_classes_the_regression_and_the_area_are_those_of_centred_examples() -> None:
    one, other = sets(1.0, count=15, width=6)
    classes = (np.arange(15) % 3 // 2, np.arange(15) % 3 % 2)
    codes, sign = np.concatenate(classes), np.repeat([-1.0, 1.0], 15)
    features, targets = standardise(np.concatenate([one, other]), each=True)[0].astype(np.float64), sign.copy()
    for code in (0, 1):
        features[codes == code] -= features[codes == code].mean(axis=0)
        targets[codes == code] -= targets[codes == code].mean()
    squares = np.linalg.eigvalsh(features.T @ features)
    grid = np.exp(np.linspace(-10, 20, 200_001))
    penalty = grid[np.abs((squares[:, None] / (squares[:, None] + grid)).sum(axis=0) - 0.25 * 6).argmin()]
    scores = np.empty(30)
    for row in range(30):
        rest = np.delete(np.arange(30), row)
        ridge = Ridge(alpha=penalty, fit_intercept=False).fit(features[rest], targets[rest])
        scores[row] = ridge.predict(features[[row]])[0]
    pairs = [(i, j) for i in range(15) for j in range(15, 30) if codes[i] == codes[j]]
    assert shift(one, other, 0, classes).auc == pytest.approx(np.mean([scores[i] < scores[j] for i, j in pairs]))


def test_classes_that_are_more_frequent_in_one_set_are_no_shift_within_them() -> None:
    draws = np.random.default_rng(0)
    classes = (draws.choice(2, 60, p=[0.8, 0.2]), draws.choice(2, 60, p=[0.2, 0.8]))
    one, other = (np.stack([4.0 * of, *draws.normal(size=(3, 60))], axis=1) for of in classes)
    assert shift(one, other, 0).p < 0.01 < 0.05 < shift(one, other, 0, classes).p
