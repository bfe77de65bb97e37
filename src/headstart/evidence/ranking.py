"""Ranking of models by a metric on the same examples, and how sure it is.

All models are weighed by the same bootstrap resamples, so that what is hard for all of them cancels out. The
probability that a model is the best is the share of resamples in which none is better; equal ones share a resample. The
interval of a rank holds the ranks of 95 % of the resamples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.numerics.bootstrap import LEVEL, RESAMPLES, Resamples


class Rank(NamedTuple):
    """The standing of a model among others."""

    best: float
    """Probability that it is the best, in [0, 1]; those of all models sum to 1."""
    low: int
    """Ends of the interval of its rank; 1 is the best."""
    high: int


def ranks(
    metric: Metric,
    targets: Targets,
    predictions: Sequence[Prediction],
    *,
    groups: np.ndarray | None = None,
    seed: int,
) -> list[Rank]:
    """Return the standing of each model.

    Args:
        metric: what they are ranked by. targets: what is true.
        predictions: of each model for the same examples, finished.
        groups: (examples,) what is resampled together. seed: of the resamples.
    """
    sign = 1.0 if metric.greater_is_better else -1.0
    drawn = Resamples(len(predictions[0]), groups, seed, RESAMPLES)
    found = sign * np.stack(drawn.of(*(metric.replicates(targets, prediction) for prediction in predictions)))
    found = np.where(np.isnan(found), -np.inf, found)
    winners = found == found.max(axis=0)
    best = (winners / winners.sum(axis=0)).mean(axis=1)
    above = (found[None, :, :] > found[:, None, :]).sum(axis=1)
    low, high = np.quantile(1 + above, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1, method="inverted_cdf")
    return [Rank(float(share), int(least), int(most)) for share, least, most in zip(best, low, high)]


def leaders_first(loss: Sequence[float], level: Sequence[bool], sizes: Sequence[float]) -> list[int]:
    """Return the places of models in order: those level with the best, the largest first, then the others by `loss`.

    Args:
        loss: the metric of each, signed so that less is better. level: whether it is not significantly below the best.
        sizes: of each; NaN where it is not known, which stands last among its equals.
    """
    known = [-math.inf if math.isnan(size) else size for size in sizes]
    return sorted(range(len(loss)), key=lambda k: (not level[k], -known[k] if level[k] else 0.0, loss[k]))
