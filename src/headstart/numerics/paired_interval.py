"""Interval of a paired difference of two bounded figures: Student's t with the bootstrap's variance.

A difference of two shares of right answers changes by the few examples on which they disagree. As in Agresti & Min
(2005), who add half an example to each of the four outcomes, the variance gets what one example more of the rarest
class could change: (1 / (K n_k))^2, of F1 in mean 1 / (true + predicted) for 1 / n_k. Where the two never disagree, up
to t^2 / (n + t^2) of each class could in truth, as in Wilson's interval of 0 in n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headstart.numerics.bootstrap import quantile, variance_of
from headstart.numerics.score_interval import Shares


def paired_interval(
    replicates: np.ndarray,
    value: float,
    independent: int,
    span: float,
    shares: Sequence[Shares | None],
    *,
    counted: bool,
) -> tuple[float, float]:
    """The 95 % interval of a paired difference; it contains the difference and stays inside [-span, span].

    Args:
        replicates: (resamples,) the difference in each resample, both sides under the same weights.
        value: the difference itself; NaN gives (NaN, NaN).
        independent: the examples, or groups, that were drawn from.
        span: the greatest size a difference can have.
        shares: what the figure of either side is the mean of; None for a single share.
        counted: whether the figures count right answers, so that one example more changes them by 1 / n.
    """
    if math.isnan(value):
        return math.nan, math.nan
    known = [side or Shares(np.array([0.5]), *[np.array([float(independent)])] * 2) for side in shares]
    rest = min(side.resting_on for side in known)
    t = quantile(independent if counted else rest)
    variance = variance_of(replicates[np.isfinite(replicates)])
    if variance == 0.0:
        half = span * max(_root_mean_square(t**2 / (side.trials + t**2)) for side in known)
    else:
        unseen = max(side.step for side in known) if counted else 0.0
        short = 1.0 if counted else rest / max(rest - 1, 1)
        half = t * math.sqrt(variance * short + (span * unseen) ** 2)
    return max(value - half, -span), min(value + half, span)


def _root_mean_square(values: np.ndarray) -> float:
    """Of shares that enter a mean: sqrt(sum(x^2)) / K."""
    return float(np.sqrt((values**2).sum())) / len(values)
