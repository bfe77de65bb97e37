"""Weights of several models whose answers are mixed, from what each says of examples that it has not learnt from.

    min over w >= 0, sum w = 1 of  sum_i a_i l_i(w) - s log w_0

l_i is what the mixture loses on example i: -log sum_m w_m p_m(y_i) of probabilities (the linear pool; Wolpert 1992,
"Stacked generalization"; Breiman 1996, "Stacked regressions"), or (y_i - sum_m w_m f_m)^2 / (2 v) of numbers, v being
the mean squared error of the first model. The last term is a Dirichlet prior: s examples that the first model alone
explains. Without it (s = 0) the weights are those of stacking on the simplex; with s = infinity the first model has all
of the weight. Both losses are convex.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

_Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Weights (models,) -> the loss and its slope (models,)."""

LEAST = 1e-9
"""Least weight that is tried: a logarithm needs one."""


def weights_by_likelihood(log_likelihoods: np.ndarray, pull: float, counts: np.ndarray | None = None) -> np.ndarray:
    """Return the weights (models,) of probabilities that are mixed.

    Args:
        log_likelihoods: (examples, models) of the true answers; finite, or -inf where a model excludes one.
        pull: examples that the first model alone explains, >= 0; infinite leaves the others nothing.
        counts: (examples,) how much each counts; None for 1 each.
    """
    largest = log_likelihoods.max(axis=1, keepdims=True)
    relative = np.exp(log_likelihoods - np.where(np.isfinite(largest), largest, 0.0))
    counts = np.ones(len(relative)) if counts is None else counts

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(relative @ weights, LEAST**2)
        return -float(counts @ np.log(mixed)), -(counts / mixed) @ relative

    return _lowest(loss, relative.shape[1], pull, max(float(counts.sum()), 1.0))


def weights_by_squares(
    predictions: np.ndarray, truth: np.ndarray, pull: float, counts: np.ndarray | None = None
) -> np.ndarray:
    """Return the weights (models,) of numbers that are averaged.

    Args:
        predictions: (examples, models). truth: (examples,). pull, counts: as for `weights_by_likelihood`.
    """
    counts = np.ones(len(truth)) if counts is None else counts
    variance = float(counts @ (predictions[:, 0] - truth) ** 2) / max(float(counts.sum()), LEAST)
    scale = 2 * max(variance, np.finfo(float).tiny)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        apart = predictions @ weights - truth
        return float(counts @ apart**2) / scale, 2 * (counts * apart) @ predictions / scale

    return _lowest(loss, predictions.shape[1], pull, max(float(counts.sum()), 1.0))


def _lowest(loss: _Loss, models: int, pull: float, examples: float) -> np.ndarray:
    """The weights on the simplex at which the loss is least, `pull` included."""
    if models == 1 or math.isinf(pull):
        return np.eye(models)[0]

    def pulled(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = loss(weights)
        slope = slope.copy()
        slope[0] -= pull / weights[0]
        return (value - pull * math.log(weights[0])) / total, slope / total

    ones, total = np.ones(models), examples + pull
    found = minimize(
        pulled,
        ones / models,
        jac=True,
        method="SLSQP",
        bounds=[(LEAST, 1.0)] * models,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda _: ones},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    weights = np.where(found.x > 2 * LEAST, found.x, 0.0)
    return np.asarray(weights / weights.sum())
