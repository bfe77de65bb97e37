"""Uncertainty of a figure: bootstrap resamples (Efron 1979) of examples or whole groups, and 95 % intervals from them.

Four things differ from the plain percentile interval, each because of how it covers the truth on small test parts:

- A figure on a bounded scale, scaled to p in [0, 1], has Wilson's (1927) score interval with the bootstrap's own
  variance v in place of p(1-p)/n, that is with n_eff = p(1-p)/v, and Student's t (Korn & Graubard 1998). It covers
  accuracies of 0.6 to 0.98 on 50 to 400 examples in 92-98 % of the cases, the percentile interval in 89-100 %; and 30
  right of 30 do not give [1, 1]. `numerics/score_interval.py` has it, and the same for means over classes.
- A figure with a bound on one side, such as an error or R2, has Student's interval of the logarithm of its distance
  from there: of 6 to 200 normal errors it covers in 90-98 %, the percentile interval in 81-94 %.
- Elsewhere the percentile interval is widened for small n as in Hesterberg (2015): the quantiles are taken at
  alpha' = Phi(-sqrt(n / (n - 1)) t_{n-1, 0.975}) and 1 - alpha', as the bootstrap's variance is short by (n - 1) / n.
- A difference that is the same in every resample, such as that of two equal predictions, keeps the uncertainty of
  what n examples could not show: a share of 0 in n reaches up to t^2 / (n + t^2) in Wilson's interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from headstart.kernel.randomness import draw_seed
from headstart.numerics.score_interval import Shares, score_interval

LEVEL = 0.95
"""Of every interval in the house."""

RESAMPLES = 1000

BLOCK = 1 << 22
"""Weights in one block at most: 32 MB."""


class Resamples(NamedTuple):
    """Resamples of what was drawn independently: examples, or whole groups such as documents, patients or users.

    Every interval comes from these weights, which say how often each counts. A metric of sums is the weights times the
    sums of each example; one of ranks, such as ROC AUC, needs the weights themselves, so they are the form for all.
    """

    examples: int
    groups: np.ndarray | None
    """(examples,) any values; equal ones are drawn together. None draws examples."""
    seed: int
    number: int = RESAMPLES

    @property
    def independent(self) -> int:
        """Number of examples, or of groups, that are drawn from."""
        return self.examples if self.groups is None else len(np.unique(np.asarray(self.groups)))

    def of(self, *figures: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """Return each figure, a function of weights (block, examples), in all resamples (number,)."""
        weights = bootstrap_weights(self.examples, self.groups, self.number, self.seed)
        with np.errstate(invalid="ignore", divide="ignore"):  # a figure may be undefined in a resample: 0 / 0
            blocks = [[figure(block) for figure in figures] for block in weights]
        return [np.concatenate(parts) for parts in zip(*blocks)]


def bootstrap_weights(n: int, groups: np.ndarray | None, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the count of each example in each resample, in blocks so that memory stays bounded.

    Args:
        n: examples; >= 1.
        groups: (n,) any values; equal ones are drawn together (cluster bootstrap). None draws examples.
        resamples: resamples in all; >= 1.
        seed: the same seed gives the same resamples.

    Yields:
        (block, n) float64; every row holds whole numbers, and sums to n where examples are drawn.
    """
    names, member = (None, None) if groups is None else np.unique(np.asarray(groups), return_inverse=True)
    units = n if names is None else len(names)
    generator = np.random.default_rng(draw_seed(seed, "bootstrap"))
    block = max(1, BLOCK // n)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.integers(0, units, size=(rows, units)) + units * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
        yield counts if member is None else counts[:, member]


def interval(
    replicates: np.ndarray,
    value: float,
    independent: int,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    shares: Shares | None = None,
    prior: float = 0.0,
) -> tuple[float, float]:
    """The 95 % interval of a figure; it always contains the figure and stays inside the bounds.

    Args:
        replicates: (resamples,) the figure in each resample; NaN, where it was undefined, is left out.
        value: the figure itself; NaN gives (NaN, NaN).
        independent: the examples, or groups, that were drawn from.
        bounds: the least and greatest value the figure can have.
        shares: what the figure is the mean of; None for a single share, where it is bounded.
        prior: as for `score_interval`.

    Returns:
        (low, high); NaN where nothing can be said: an unbounded figure that rests on a single group.
    """
    if math.isnan(value):
        return math.nan, math.nan
    low, high = bounds
    replicates = replicates[np.isfinite(replicates)]
    if math.isfinite(low) and math.isfinite(high):
        width = high - low
        shares = shares or Shares(np.array([(value - low) / width]), *[np.array([float(independent)])] * 2)
        left, right = score_interval(shares, variance_of(replicates) / width**2, quantile(independent), prior)
        return min(low + width * left, value), max(low + width * right, value)
    bound = next(filter(math.isfinite, bounds), math.nan)
    if ends := _on_log_scale(replicates - bound, value - bound, independent):
        return bound + ends[0], bound + ends[1]
    left, right = _percentile(replicates, value, independent)
    return max(left, low), min(right, high)


def difference_interval(
    replicates: np.ndarray, value: float, independent: int, span: float = math.inf
) -> tuple[float, float]:
    """The 95 % interval of a paired difference, by quantiles; arguments as for `interval`.

    Args:
        replicates: (resamples,) the difference in each resample, both sides under the same weights.
        value: the difference itself.
        independent: the examples, or groups, that were drawn from.
        span: the greatest size a difference can have; infinite for unbounded metrics.
    """
    if math.isnan(value):
        return math.nan, math.nan
    replicates = replicates[np.isfinite(replicates)]
    if math.isfinite(span) and variance_of(replicates) == 0.0:
        square = quantile(independent) ** 2
        unseen = span * square / (independent + square)
        return max(value - unseen, -span), min(value + unseen, span)
    low, high = _percentile(replicates, value, independent)
    return max(low, -span), min(high, span)


def quantile(independent: float) -> float:
    """Student's t of a 95 % interval that rests on so many examples or groups."""
    return float(stats.t.ppf(0.5 + LEVEL / 2, max(independent - 1, 1)))


def variance_of(replicates: np.ndarray) -> float:
    """Of finite replicates (resamples,); exactly 0 when all are equal but for rounding."""
    if len(replicates) < 2 or np.ptp(replicates) <= 1e-12 * np.abs(replicates).max():
        return 0.0
    return float(replicates.var())


def _on_log_scale(distances: np.ndarray, distance: float, independent: int) -> tuple[float, float] | None:
    """Ends as distances (signed) from the one bound; None where a distance is zero, of another sign or not known."""
    if independent < 2 or len(distances) < 2 or not (distances * distance > 0).all():
        return None
    deviation = math.sqrt(variance_of(np.log(np.abs(distances))) * independent / (independent - 1))
    by = math.exp(quantile(independent) * deviation)
    low, high = sorted((distance / by, distance * by))
    return low, high


def _percentile(replicates: np.ndarray, value: float, independent: int) -> tuple[float, float]:
    if independent < 2 or len(replicates) < 2:
        return math.nan, math.nan
    tail = float(stats.norm.cdf(-math.sqrt(independent / (independent - 1)) * quantile(independent)))
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)
