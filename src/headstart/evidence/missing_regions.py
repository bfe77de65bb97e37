"""Support: regions of one set's features where the other set has practically nothing, found by one-sided density.

A kernel ridge regression of the set's sign, scored by leave-one-out, says how much each example is among examples of
its own kind. Of those with the most extreme scores, `SHARES` of a set each, it is tested whether the other set has less
than `FEW` of them (binomial, corrected for the number of shares): a region is missing there. A smooth change of density
leaves the other set more than that. The kernel is Gaussian on `DIMENSIONS` principal components of unit variance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from headstart.evidence.shift import MOST, hat_matrix, leave_one_out
from headstart.numerics.standardisation import standardise

FEW = 0.1
"""Share of a region's examples below which a set has practically none there."""

SHARES = (0.1, 0.15, 0.2, 0.3)
DIMENSIONS = 20

EXAMPLES = 20
"""For each effective dimension of the regression."""


class Region(NamedTuple):
    """Examples of one set where the other has practically none."""

    rows: np.ndarray
    """Of the set that has them, the most isolated first."""
    share: float
    """Of that set's compared examples."""
    others: int
    """Examples of the other set among them."""
    p: float
    """Probability of so few others where they are `FEW` of the region's examples."""


def missing_regions(one: np.ndarray, other: np.ndarray, draws: np.random.Generator) -> tuple[Region, Region]:
    """Return the region of `other` that is most missing in `one`, and that of `one` most missing in `other`.

    Args:
        one: (examples, some) principal components of both sets, of which the first are read. other: likewise.
    """
    count = min(len(one), len(other), MOST)
    rows = [np.sort(draws.choice(len(some), count, replace=False)) for some in (one, other)]
    kernel = gaussian(np.concatenate([one[rows[0]], other[rows[1]]])[:, :DIMENSIONS])
    middle = kernel.mean(axis=0)
    hat = hat_matrix(kernel - middle - middle[:, None] + middle.mean(), 2 * count / EXAMPLES)
    sign = np.repeat([-1.0, 1.0], count)
    score = leave_one_out(hat, sign[:, None])[:, 0]
    sides = [(np.argsort(-score, kind="stable"), rows[1], count), (np.argsort(score, kind="stable"), rows[0], 0)]
    theirs, mine = (_most_missing(order, own, first, count) for order, own, first in sides)
    return theirs, mine


def components(features: np.ndarray, number: int) -> np.ndarray:
    """(examples, number at most) principal components of standardised features, of unit variance; 0 for equal ones."""
    scaled, _ = standardise(features, each=True)
    vectors, values, _ = np.linalg.svd(scaled.astype(np.float64), full_matrices=False)
    real = values > max(values[0], 1e-12) * 1e-6
    if not real.any():
        return np.zeros((len(features), 1))
    return np.asarray(vectors[:, real][:, :number] * np.sqrt(len(features)))


def gaussian(points: np.ndarray) -> np.ndarray:
    """(examples, examples) kernel exp(-2 d^2 / median d^2)."""
    squares = (points**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    return np.asarray(np.exp(-2 * distances / max(float(np.median(distances)), 1e-12)))


def _most_missing(order: np.ndarray, own: np.ndarray, first: int, count: int) -> Region:
    """The region among the first rows of `order` of which the fewest are others; own rows begin at `first`."""
    found = []
    for share in SHARES:
        region = order[: max(1, int(share * count))]
        inside = region[(region >= first) & (region < first + count)] - first
        others = len(region) - len(inside)
        p = min(1.0, len(SHARES) * float(binom.cdf(others, len(region), FEW)))
        found.append(Region(own[inside], len(inside) / count, others, p))
    return min(found, key=lambda region: region.p)
