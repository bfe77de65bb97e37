"""Fitting an L2-regularised softmax: L-BFGS in coordinates in which the problem is nearly round.

    min over W, b of  sum_i w_i CE(W z_i + b, y_i) + ||W||^2 / (2 C)

Two classes have C for the difference of their rows, as scikit-learn has it. In the basis of the features' principal
components the Hessian is nearly diagonal, about w n q l_j + 1/C for component j with variance l_j, where q is the mean
of p (1 - p). Steps are taken in coordinates divided by its root: a few dozen of them do what takes hundreds otherwise
(Nocedal & Wright 2006, section 7.2, on scaling; Byrd et al. 1995, L-BFGS-B). The solution is the same: the penalty does
not see a rotation, and the scaling is undone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import log_softmax

MEMORY = 20
"""Pairs of steps and gradients that L-BFGS remembers."""


class Coordinates(NamedTuple):
    """Features in the basis of their principal components."""

    rotated: np.ndarray
    """(examples, rank) float32"""
    back: np.ndarray
    """(rank, width): turns a map on rotated features into one on features."""


def principal(standard: np.ndarray) -> Coordinates:
    """Rotate centred features (examples, width) to their principal components; directions without variance go.

    Fewer examples than features need float64, by which directions of little variance stay orthogonal. Elsewhere they
    are eigenvectors and orthogonal whatever their variance, so that they are found in float32, twice as fast.
    """
    examples, width = standard.shape
    exact = standard.astype(np.float64)
    single = standard.astype(np.float32, copy=False)
    squares = exact @ exact.T if examples < width else single.T @ single
    values, vectors = eigh(squares, driver="evd", overwrite_a=True, check_finite=False)
    kept = values > max(values[-1], 0.0) * np.finfo(np.float32).eps
    if examples < width:
        lengths = np.sqrt(values[kept])
        return Coordinates((vectors[:, kept] * lengths).astype(np.float32), (vectors[:, kept] / lengths).T @ exact)
    return Coordinates((exact @ vectors[:, kept]).astype(np.float32), vectors[:, kept].T)


class SoftmaxFit:
    """A softmax regression on one set of examples; each fit starts from the last one."""

    def __init__(self, rotated: np.ndarray, labels: np.ndarray, weights: np.ndarray, classes: int) -> None:
        """Examples (examples, rank) in principal coordinates, labels in [0, classes), weights of their losses."""
        self.rotated, self.labels, self.weights = rotated, labels, weights.astype(np.float64)
        self.classes, self.rows = classes, np.arange(len(labels))
        self.spread = self.weights @ np.square(rotated, dtype=np.float64)
        self.weight = np.zeros((classes, rotated.shape[1]))
        self.bias = np.zeros(classes)

    def fit(self, c: float, *, tolerance: float, steps: int) -> None:
        """Minimise at regularisation `c`; ends when a step improves the loss by less than `tolerance` of it."""
        # two opposite rows, each half as long, weigh half as much as the one row of the usual binary form
        c = c / 2 if self.classes == 2 else c
        scale = self._scale(c)
        start = np.concatenate([(self.weight / scale).ravel(), self.bias])
        options = {"maxiter": steps, "maxcor": MEMORY, "ftol": tolerance, "gtol": 0.0, "maxls": 30}
        found = minimize(self._loss, start, args=(c, scale), jac=True, method="L-BFGS-B", options=options)
        self.weight, self.bias = self._unpack(found.x, scale)

    def log_probabilities(self, rotated: np.ndarray) -> np.ndarray:
        """(examples, classes) for other examples in the same coordinates."""
        return log_softmax(self._logits(rotated, self.weight, self.bias), axis=1)

    def _scale(self, c: float) -> np.ndarray:
        """(rank,) what a coordinate is divided by: the root of the inverse of its curvature."""
        probability = np.exp(self.log_probabilities(self.rotated))
        q = float(np.average(np.mean(probability * (1 - probability), axis=1), weights=self.weights))
        return 1 / np.sqrt(self.spread * max(q, 1e-4) + 1 / c)

    def _loss(self, point: np.ndarray, c: float, scale: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = self._unpack(point, scale)
        logits = self._logits(self.rotated, weight, bias)
        logits -= logits.max(axis=1, keepdims=True)
        own = logits[self.rows, self.labels]
        residual = np.exp(logits, out=logits)
        totals = residual.sum(axis=1)
        loss = self.weights @ (np.log(totals) - own) + np.square(weight).sum() / (2 * c)
        residual /= totals[:, None]
        residual[self.rows, self.labels] -= 1
        residual *= self.weights[:, None]
        slope = residual.astype(self.rotated.dtype).T @ self.rotated + weight / c
        return float(loss), np.concatenate([(slope * scale).ravel(), residual.sum(axis=0)])

    def _unpack(self, point: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return point[: -self.classes].reshape(self.classes, -1) * scale, point[-self.classes :]

    @staticmethod
    def _logits(rotated: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return (rotated @ weight.T.astype(rotated.dtype)).astype(np.float64) + bias
