"""Score interval of a mean of shares, such as the mean over classes of recall, F1 or ROC AUC.

Wilson (1927) inverts the score test of one share: (theta - p)^2 = t^2 theta (1 - theta) / n. For the mean of K shares
p_k of n_k trials, the variances v_k / K^2, v_k = p_k (1 - p_k) / n_k, are divided. Along the direction in which a
change of the mean is likeliest, d p_k = K w_k d theta with w_k = v_k / sum(v), the variance is expanded as Wilson's is:

    x^2 (1 + t^2 sum(w_k^2 / n_k)) - x t^2 sum(w_k (1 - 2 p_k) / n_k) / K - t^2 sum(w_k v_k) / K^2 = 0

gives the steps x to either side; across it, t^2 sum((1 - w_k) v_k) / K^2 is added to their squares. With K = 1 this is
Wilson's interval. A class with few examples that are all right thus widens the interval to one side, by as much as it
weighs, where the bootstrap sees no variance at all.

The n_k are divided by the design effect (Kish 1965): the bootstrap's variance, which knows of groups and of shares that
vary together, over that of independent trials.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Shares(NamedTuple):
    """Shares whose mean a figure is."""

    values: np.ndarray
    """(shares,) in [0, 1]."""
    trials: np.ndarray
    """(shares,) > 0: independent yes/no trials that would leave a share as uncertain."""
    support: np.ndarray
    """(shares,) >= 1: examples or groups that a share rests on."""
    steps: np.ndarray | None = None
    """(shares,) > 0: as `Support.steps`."""

    @property
    def weights(self) -> np.ndarray:
        """Each share's part (shares,) of the variance, of a share of 1 too, as in Agresti & Coull (1998)."""
        smooth = (self.values * self.trials + 2) / (self.trials + 4)
        variances = smooth * (1 - smooth) / self.trials
        return variances / variances.sum()

    @property
    def step(self) -> float:
        """Greatest change of the mean by one example that is answered otherwise."""
        steps = 1 / np.maximum(self.trials, 1.0) if self.steps is None else self.steps
        return float(steps.max()) / len(steps)

    @property
    def resting_on(self) -> float:
        """Examples or groups that the variance rests on."""
        return 1 / float((self.weights**2 / self.support).sum())


def score_interval(shares: Shares, variance: float, t: float, prior: float = 0.0) -> tuple[float, float]:
    """The interval of the mean, inside [0, 1].

    Args:
        shares: what the mean is of.
        variance: of the mean, by the bootstrap; 0 where it saw none.
        t: quantile of the interval.
        prior: examples for which independent trials count beside those that the bootstrap's variance rests on.
    """
    p, weights, count = shares.values, shares.weights, len(shares.values)
    independent = float((p * (1 - p) / shares.trials).sum()) / count**2
    design = variance / independent if variance > 0 and independent > 0 else 1.0
    design = (shares.resting_on * design + prior) / (shares.resting_on + prior)
    trials = np.maximum(shares.trials / design, 1.0)
    own = p * (1 - p) / trials / count**2
    curvature = float((weights**2 / trials).sum())
    short = min(float((weights / trials).sum()) - curvature, 0.5)  # of plug-in variances, by which they fall short
    along, across = float((weights * own).sum()), float(((1 - weights) * own).sum()) / (1 - short)
    slope = t**2 * float((weights * (1 - 2 * p) / trials).sum()) / (2 * count)
    half = math.sqrt(slope**2 + t**2 * along * (1 + t**2 * curvature))
    down, up = ((slope + side * half) / (1 + t**2 * curvature) for side in (-1, 1))
    mean, aside = float(p.mean()), t * math.sqrt(across)
    return max(mean - math.hypot(down, aside), 0.0), min(mean + math.hypot(up, aside), 1.0)
