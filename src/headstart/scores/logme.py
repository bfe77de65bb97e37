"""LogME: the log evidence of targets under a linear model of the features, per example (You et al. 2021).

Each target column y (n,) is modelled as y = F w + noise with w ~ N(0, 1/alpha) and noise ~ N(0, 1/beta). The score is
the greatest log p(y | F) over both precisions, divided by n, mean over columns. Classes are one column each, 1 where an
example is of the class ("LogME: Practical assessment of pre-trained models for transfer learning").

With F = U S V', z = U'y and t = alpha / beta, the evidence at the best beta = n / r(t) is

    log p = n/2 (log beta - log 2 pi - 1) - 1/2 sum_j log(1 + s_j^2 / t),
    r(t) = |y|^2 - sum_j z_j^2 s_j^2 / (s_j^2 + t),

which leaves one number to search for. The paper's fixed point ends at a stationary point of the same function, not
always the highest, and the authors' code adds 1e-5 to its denominators; here r(t) is at least 1e-9 of |y|^2, so that
targets that the features fit exactly keep a finite evidence.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from headstart.contracts.score import LabelledFeatures, Score
from headstart.contracts.target_kinds import LABEL_SETS, VALUES
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import Sampled, one_class_each

LEAST = 1e-9
"""Residual beside the sum of squares at least."""

GRID = np.linspace(-12.0, 6.0, 73) * math.log(10)
"""Logarithms of t, beside the largest squared singular value, between which the best is searched for."""


class LogMe(Score):
    """Log evidence of a linear model."""

    title = "LogME"

    @classmethod
    def suits(cls, task: BoundTask) -> bool:
        """Where each example, token or pixel has a class, or each example a set of labels or quantities."""
        return (
            one_class_each(task) or isinstance(task, Sampled) or task.target_kinds.get("label") in (LABEL_SETS, VALUES)
        )

    def score(self, data: LabelledFeatures) -> float:
        """Return the mean log evidence per example; unbounded."""
        left, singular, _ = np.linalg.svd(data.features.astype(np.float64), full_matrices=False)
        squares = singular**2 / max(float(singular.max(initial=0.0)) ** 2, np.finfo(np.float64).tiny)
        found = [_evidence((left.T @ y) ** 2, squares, y) for y in _columns(data.targets["label"]).T if y.any()]
        return float(np.mean(found)) if found else math.nan


def _columns(targets: np.ndarray) -> np.ndarray:
    """(examples, columns) float64: classes as indicators of those that occur."""
    if np.issubdtype(targets.dtype, np.integer):
        return (targets[:, None] == np.unique(targets)).astype(np.float64)
    return targets.reshape(len(targets), -1).astype(np.float64)


def _evidence(rotated: np.ndarray, squares: np.ndarray, y: np.ndarray) -> float:
    """Return the greatest log evidence of one column, per example.

    Args:
        rotated: (rank,) squares of the column in the basis of the left singular vectors.
        squares: (rank,) squared singular values, the largest of them 1. y: (examples,), not all zero.
    """
    n, length = len(y), float(y @ y)

    def loss(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        residual = max(length - float((rotated * squares / (squares + ratio)).sum()), LEAST * length)
        return n * math.log(residual / n) + float(np.log1p(squares / ratio).sum())

    place = int(np.argmin([loss(point) for point in GRID]))
    ends = GRID[max(place - 1, 0)], GRID[min(place + 1, len(GRID) - 1)]
    best = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-9}).fun
    return -0.5 * (float(best) / n + math.log(2 * math.pi) + 1)
