"""Shift between two sets of inputs: can a linear classifier tell from frozen features which set an example is from?

A classifier two-sample test (Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests"). The classifier is a
ridge regression of the set's sign, whose leave-one-out scores have a closed form, s_i = (H y - h_ii y_i) / (1 - h_ii),
so that the same scores under permuted sets cost one product of matrices: the p-value is that of the permutations
themselves and holds for few examples. The penalty gives the regression a quarter of the dimensions that it could use;
it is not chosen on the data, which would spoil the test.

The statistic is the area under the ROC curve of the scores, and the proxy A-distance is 2 (1 - 2 error) (Ben-David et
al. 2007), 0 where the sets cannot be told apart and 2 where they always can.
"""

from __future__ import annotations

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


def shift(one: np.ndarray, other: np.ndarray, seed: int) -> Shift:
    """Compare two sets of features.

    Args:
        one: (examples, width) finite floats; `FEWEST` examples at least. other: likewise.
        seed: of the examples that are compared and of the permutations.
    """
    draws = np.random.default_rng(draw_seed(seed, "shift between sets"))
    count = min(len(one), len(other), MOST)
    rows = [np.sort(draws.choice(len(some), count, replace=False)) for some in (one, other)]
    features, _ = standardise(np.concatenate([one[rows[0]], other[rows[1]]]), each=True)
    hat = _hat_matrix(features.astype(np.float64))
    sign = np.repeat([-1.0, 1.0], count)
    signs = np.stack([sign, *(draws.permutation(sign) for _ in range(PERMUTATIONS))], axis=1)
    leverage = np.diag(hat)[:, None]
    scores = (hat @ signs - leverage * signs) / np.maximum(1 - leverage, 1e-9)
    areas = _areas(scores, signs > 0)
    error = float(np.mean(np.sign(scores[:, 0]) != sign))
    at_least = int((areas[1:] >= areas[0] - 1e-12).sum())
    return Shift(float(areas[0]), (1 + at_least) / (1 + PERMUTATIONS), max(0.0, 2 * (1 - 2 * error)), count)


def _hat_matrix(features: np.ndarray) -> np.ndarray:
    """(examples, examples): from targets to the fitted values of a ridge regression of centred features."""
    squares, vectors = np.linalg.eigh(features @ features.T)
    kept = squares > max(squares[-1], 0.0) * np.finfo(np.float32).eps
    if not kept.any():
        return np.zeros((len(features), len(features)))
    squares, vectors = squares[kept], vectors[:, kept]

    def excess(log_penalty: float) -> float:
        return float((squares / (squares + np.exp(log_penalty))).sum()) - USED * len(squares)

    penalty = np.exp(brentq(excess, np.log(squares[0]) - 20, np.log(squares[-1]) + 20))
    return np.asarray((vectors * (squares / (squares + penalty))) @ vectors.T)


def _areas(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(columns,) area under the ROC curve of each column of scores (examples, columns)."""
    ranks = rankdata(scores, axis=0)
    many = positive.sum(axis=0)
    return np.asarray(((ranks * positive).sum(axis=0) - many * (many + 1) / 2) / (many * (len(scores) - many)))
