"""Shift between two sets of inputs: can a linear classifier tell from frozen features which set an example is from?

A classifier two-sample test (Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests"). The classifier is a
ridge regression of the set's sign, whose leave-one-out scores have a closed form, s_i = (H y - h_ii y_i) / (1 - h_ii),
so that the same scores under permuted sets cost one product of matrices: the p-value is that of the permutations
themselves and holds for few examples. The penalty gives the regression a quarter of the dimensions that it could use;
it is not chosen on the data, which would spoil the test.

The statistic is the area under the ROC curve of the scores, and the proxy A-distance is 2 (1 - 2 error) (Ben-David et
al. 2007), 0 where the sets cannot be told apart and 2 where they always can.

With classes the question is about inputs of the same class: features and sets are centred within each, sets are
permuted within each, and the area is that within classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import rankdata

from headstart.kernel.randomness import draw_seed
from headstart.numerics.standardisation import standardise

FEWEST, MOST = 10, 1000
"""Examples of each set that are compared."""

PERMUTATIONS = 499

USED = 0.25
"""Effective dimensions of the regression, as a share of those that it could use."""


class Shift(NamedTuple):
    """The difference between two sets."""

    auc: float
    """Area under the ROC curve of the classifier's leave-one-out scores, in [0, 1]; 0.5 where nothing differs."""
    p: float
    """Probability of such an area or a larger one where the sets do not differ."""
    distance: float
    """Proxy A-distance, in [0, 2]."""
    examples: int
    """Number of each set that were compared."""


def shift(one: np.ndarray, other: np.ndarray, seed: int, classes: tuple[np.ndarray, np.ndarray] | None = None) -> Shift:
    """Compare two sets of features.

    Args:
        one: (examples, width) finite floats; `FEWEST` examples at least. other: likewise.
        seed: of the examples that are compared and of the permutations.
        classes: (examples,) int of each set; None compares the sets as they are.
    """
    draws = np.random.default_rng(draw_seed(seed, "shift between sets"))
    count = min(len(one), len(other), MOST)
    rows = [np.sort(draws.choice(len(some), count, replace=False)) for some in (one, other)]
    features, _ = standardise(np.concatenate([one[rows[0]], other[rows[1]]]), each=True)
    codes = np.zeros(2 * count, np.int64)
    if classes is not None:
        codes = np.unique(np.concatenate([of[some] for of, some in zip(classes, rows)]), return_inverse=True)[1]
    strata = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    features, sign = features.astype(np.float64), np.repeat([-1.0, 1.0], count)
    signs = np.stack([sign, *(permuted(sign, strata, draws) for _ in range(PERMUTATIONS))], axis=1)
    positive = signs > 0
    if classes is not None:
        features, signs = centred(features, strata), centred(signs, strata)
    scores = leave_one_out(hat_matrix(features @ features.T), signs)
    areas = _areas(scores, positive, strata)
    error = float(np.mean(np.sign(scores[:, 0]) != sign))
    at_least = int((areas[1:] >= areas[0] - 1e-12).sum())
    return Shift(float(areas[0]), (1 + at_least) / (1 + PERMUTATIONS), max(0.0, 2 * (1 - 2 * error)), count)


def permuted(values: np.ndarray, strata: Sequence[np.ndarray], draws: np.random.Generator) -> np.ndarray:
    """(examples,) values in another order, within each of the strata, which are rows."""
    found = values.copy()
    for rows in strata:
        found[rows] = draws.permutation(values[rows])
    return found


def centred(values: np.ndarray, strata: Sequence[np.ndarray]) -> np.ndarray:
    """Values (examples, ...) minus the mean of their stratum."""
    found = values.copy()
    for rows in strata:
        found[rows] -= values[rows].mean(axis=0)
    return found


def hat_matrix(gram: np.ndarray, dimensions: float | None = None) -> np.ndarray:
    """(examples, examples): from targets to the fitted values of a ridge regression.

    Args:
        gram: (examples, examples) inner products of centred features.
        dimensions: effective ones of the regression; None for the share `USED` of those that it could use.
    """
    squares, vectors = np.linalg.eigh(gram)
    kept = squares > max(squares[-1], 0.0) * np.finfo(np.float32).eps
    if not kept.any():
        return np.zeros_like(gram)
    squares, vectors = squares[kept], vectors[:, kept]
    wanted = USED * len(squares) if dimensions is None else min(dimensions, len(squares) / 2)

    def excess(log_penalty: float) -> float:
        return float((squares / (squares + np.exp(log_penalty))).sum()) - wanted

    penalty = np.exp(brentq(excess, np.log(squares[0]) - 20, np.log(squares[-1]) + 20))
    return np.asarray((vectors * (squares / (squares + penalty))) @ vectors.T)


def leave_one_out(hat: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Scores (examples, columns) of each example by the regression without it."""
    leverage = np.diag(hat)[:, None]
    return np.asarray((hat @ targets - leverage * targets) / np.maximum(1 - leverage, 1e-9))


def _areas(scores: np.ndarray, positive: np.ndarray, strata: Sequence[np.ndarray]) -> np.ndarray:
    """(columns,) area under the ROC curve of each column of scores (examples, columns), of pairs within strata."""
    won, pairs = np.zeros(scores.shape[1]), 0
    for rows in strata:
        many = int(positive[rows, 0].sum())
        won += (rankdata(scores[rows], axis=0) * positive[rows]).sum(axis=0) - many * (many + 1) / 2
        pairs += many * (len(rows) - many)
    return won / pairs if pairs else np.full(len(won), 0.5)
