"""The label curve: how good a probe will be with more labels, by probes on growing subsets of those that there are.

The distance e of a metric from its best value is taken for a power law of the number of labels m, with a floor:

    e(m) = L (f + (1 - f) (m / M)^-b),    M the largest subset

as in Cortes et al. (1994), "Learning curves: asymptotic values and rate of convergence", and Hestness et al. (2017),
arXiv 1712.00409. Few sizes say little of b and f, so these are not fitted: every pair on a grid counts by its prior
times its likelihood, with L by generalised least squares. All sizes are measured on the same examples, so their errors
go together; the bootstrap gives their covariance. The gain by more labels is thus known better than the level. A
forecast is the mixture over the grid. Its interval is for the metric on all inputs like these, not on a test part of
some size.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from headstart.kernel.errors import DataError
from headstart.numerics.score_interval import Shares, score_interval

LEVEL = 0.9
"""Of all intervals here."""

FEWEST_SIZES = 3

EXPONENTS = np.geomspace(0.1, 1.5, 15)
FLOORS = np.linspace(0.025, 0.975, 20)
"""Values of b and f on the grid; those of f are equally probable beforehand."""

USUAL, SPREAD = 0.5, 0.6
"""Median of b beforehand, and the standard deviation of log b: from 0.2 to 1.3 in 90 % of the cases.

These and the spreads below were chosen on 55 forecasts of twice the labels of Amazon reviews, SST-2, PACS, optdigits
and the Adult table. A prior for high floors gave intervals 5 % narrower there, but failed where there was no floor.
"""

STRAYING = 0.02
"""Standard deviation of a measured distance around the law, beside the bootstrap's, as a share of the distance."""

EXTRAPOLATION = 0.02
"""The same of a forecast for twice the labels; its square grows with the logarithm of the multiple."""

UNSEEN = 0.3
"""The least standard deviation of a measured distance, in single examples."""

MOST, STEPS = 100.0, 200
"""Multiple of the largest subset up to which a curve is followed, and the steps of a search along it."""


class Measured(NamedTuple):
    """A metric of probes on growing subsets, all measured on the same examples."""

    sizes: np.ndarray
    """(sizes,) labels that were learnt from, ascending."""
    values: np.ndarray
    """(sizes,) the metric."""
    replicates: np.ndarray
    """(resamples, sizes) the same on resampled examples."""
    independent: int
    """Examples, or groups of them, that were resampled."""
    bounds: tuple[float, float]
    """The least and the greatest value of the metric."""
    greater_is_better: bool

    @property
    def best(self) -> float:
        """The best value of the metric; infinite where there is none."""
        return self.bounds[1] if self.greater_is_better else self.bounds[0]

    @property
    def distances(self) -> np.ndarray:
        """(sizes,) >= 0: from the best value."""
        return np.abs(self.best - self.values)

    @property
    def single(self) -> float:
        """The distance that a single example can make."""
        width = self.bounds[1] - self.bounds[0]
        return (width if math.isfinite(width) else float(self.distances.max())) / self.independent


class Forecast(NamedTuple):
    """A metric with a number of labels, and its interval."""

    labels: float
    value: float
    low: float
    high: float


class Labels(NamedTuple):
    """A number of labels, and its interval: 0 below the smallest subset, infinite where `MOST` times do not do."""

    value: float
    low: float
    high: float


class LabelCurve:
    """All power laws of the grid with their probabilities, after a measurement."""

    def __init__(self, measured: Measured) -> None:
        """Weigh the laws.

        Raises:
            DataError: fewer than three sizes, or a metric without a best value, undefined on a subset or best on all.
        """
        if len(measured.sizes) < FEWEST_SIZES:
            raise DataError(f"a label curve needs probes on {FEWEST_SIZES} sizes, not {len(measured.sizes)}")
        if not math.isfinite(measured.best):
            raise DataError("the metric has no best value that a label curve could approach")
        if not (np.isfinite(measured.values).all() and np.isfinite(measured.replicates).all()):
            raise DataError("the metric is undefined on some of the subsets")
        if measured.single == 0:
            raise DataError("the metric is at its best on every subset")
        self.measured = measured
        self._exponents, self._floors = (each.ravel() for each in np.meshgrid(EXPONENTS, FLOORS, indexing="ij"))
        distances, shapes = measured.distances, self._shapes(measured.sizes)
        inverse = np.linalg.inv(np.cov(measured.replicates, rowvar=False) + np.diag(self._straying(distances)))
        precisions = np.einsum("ks,st,kt->k", shapes, inverse, shapes)
        self._levels, self._variances = shapes @ inverse @ distances / precisions, 1 / precisions
        apart = distances - self._levels[:, None] * shapes
        misfits = np.einsum("ks,st,kt->k", apart, inverse, apart)
        prior = np.square(np.log(self._exponents / USUAL) / SPREAD)
        logs = -(prior + misfits + np.log(precisions)) / 2
        self.probabilities = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
        """(laws,)"""

    def forecast(self, labels: float) -> Forecast:
        """Return the metric with so many labels."""
        largest = self.measured.sizes[-1]
        shapes = self._shapes(np.array([labels]))[:, 0]
        means = self._levels * shapes
        mean = max(float(self.probabilities @ means), 0.0)
        variance = float(self.probabilities @ (self._variances * shapes**2 + (means - mean) ** 2))
        variance += float(_extrapolated(np.array(mean), labels / largest))
        sign, best = -1.0 if self.measured.greater_is_better else 1.0, self.measured.best
        ends = sorted(best + sign * distance for distance in self._interval(mean, variance))
        return Forecast(labels, best + sign * mean, *ends)

    def labels_for(self, value: float, deviation: float) -> Labels:
        """Return the labels with which the metric comes to a value that was measured on other examples.

        Args:
            value: of the metric.
            deviation: the standard deviation of its measurement.
        """
        sizes, distance = self.measured.sizes, abs(self.measured.best - value)
        numbers = np.geomspace(sizes[0], MOST * sizes[-1], STEPS)
        reached = np.maximum.accumulate([self._reached(labels, distance, deviation) for labels in numbers])
        places = np.searchsorted(reached, (0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2))
        ends = np.concatenate([[0.0], numbers[1:], [math.inf]])
        return Labels(*(float(ends[place]) for place in places))

    def _reached(self, labels: float, distance: float, deviation: float) -> float:
        """Return the probability that so many labels bring the metric as near to its best value as `distance`."""
        shapes = self._shapes(np.array([labels]))[:, 0]
        means = self._levels * shapes
        variances = self._variances * shapes**2 + np.square(STRAYING * means) + deviation**2
        variances += _extrapolated(means, labels / self.measured.sizes[-1])
        return float(self.probabilities @ stats.norm.cdf((distance - means) / np.sqrt(variances)))

    def _shapes(self, labels: np.ndarray) -> np.ndarray:
        """(laws, labels): e(m) / L."""
        powers = np.power.outer(labels / self.measured.sizes[-1], -self._exponents).T
        return self._floors[:, None] + (1 - self._floors[:, None]) * powers

    def _straying(self, distances: np.ndarray) -> np.ndarray:
        """(sizes,): variance of the distances around the law, larger for small subsets; none is zero."""
        sizes = self.measured.sizes
        return np.square(STRAYING * distances) * np.sqrt(sizes[-1] / sizes) + (UNSEEN * self.measured.single) ** 2

    def _interval(self, mean: float, variance: float) -> tuple[float, float]:
        """Return the ends for a distance from the best value: by Wilson's score, or lognormal where it has no limit."""
        t = float(stats.norm.ppf(0.5 + LEVEL / 2))
        width = self.measured.bounds[1] - self.measured.bounds[0]
        if math.isinf(width):
            by = math.exp(t * math.sqrt(math.log1p(variance / max(mean, self.measured.single) ** 2)))
            return mean / by, mean * by
        independent = np.array([float(self.measured.independent)])
        shares = Shares(np.array([min(mean / width, 1.0)]), independent, independent)
        low, high = score_interval(shares, variance / width**2, t)
        return low * width, high * width


def _extrapolated(distances: np.ndarray, multiple: float) -> np.ndarray:
    """Return the variances that distances gain by extrapolation to a multiple of the largest subset."""
    return np.square(EXTRAPOLATION * distances) * max(math.log2(multiple), 0.0)
