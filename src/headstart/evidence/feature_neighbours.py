"""Nearest neighbours in features, and what they tell of inputs: outliers, and an order that is not random.

Outliers: the mean cosine distance to the nearest neighbours (Kuan & Mueller 2022, "Back to the basics: revisiting
out-of-distribution detection baselines"), or Euclidean where the inputs are numbers. The tail of distances is taken for
a Pareto distribution through two of its quantiles, and an example is an outlier where the chance that the data hold a
single one so far away is `RATE`.

Order: examples that are neighbours in features lie no nearer in an order than others where that order is random. The
statistic is the mean logarithm of the number of places between neighbours of a stratum, and its p-value that of
permutations within strata, so that an order by classes is not told. Copies are left out: they lie side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headstart.kernel.randomness import draw_seed
from headstart.numerics.standardisation import of_unit_length

NEIGHBOURS = 10
MOST = 10_000
"""Examples among which neighbours are sought; of more, so many are drawn."""
AT_ONCE = 2048
FEWEST = 50
"""Examples below which nothing is reported."""

TAIL = (0.1, 0.02)
"""Shares of the examples that lie beyond the quantiles of the tail."""

RATE = 0.05
"""Chance that an outlier is reported in data without any."""
PERMUTATIONS = 499


class Neighbours(NamedTuple):
    """The nearest neighbours of each example."""

    rows: np.ndarray
    """(examples, neighbours) int, the nearest first."""
    distances: np.ndarray
    """(examples, neighbours) cosine distances, in [0, 2], or Euclidean ones."""


class Order(NamedTuple):
    """The places of neighbours in an order."""

    apart: float
    """Places between neighbours of a stratum, the geometric mean."""
    expected: float
    """The same in a random order."""
    p: float
    """Probability of so few or fewer in a random order."""


def neighbours(
    features: np.ndarray, seed: int, cluster: np.ndarray | None = None, *, angles: bool = True
) -> Neighbours:
    """Find the nearest neighbours of each example among the others.

    Args:
        features: (examples, width) finite floats; two examples at least.
        seed: of the examples among which they are sought, where there are many.
        cluster: (examples,) int: those of a number are copies, and no neighbours of each other.
        angles: by cosine distance; else by Euclidean distance, where the length of features has a meaning.
    """
    count = len(features)
    cluster = np.arange(count) if cluster is None else cluster
    among = np.unique(cluster, return_index=True)[1]  # of copies the first
    if len(among) > MOST:
        draws = np.random.default_rng(draw_seed(seed, "neighbours"))
        among = np.sort(draws.choice(among, MOST, replace=False))
    points = of_unit_length(features) if angles else features - features.mean(axis=0)
    points = points.astype(np.float32)
    squares = np.square(points.astype(np.float64)).sum(axis=1)
    most = min(NEIGHBOURS, len(among) - 1)
    rows, distances = [], []
    for part in np.array_split(np.arange(count), -(-count // AT_ONCE)):
        similar = points[part] @ points[among].T - squares[among].astype(np.float32) / 2
        similar[cluster[part][:, None] == cluster[among][None]] = -np.inf
        nearest = np.argpartition(-similar, most - 1, axis=1)[:, :most]
        found = np.take_along_axis(similar, nearest, axis=1).astype(np.float64)
        order = np.argsort(-found, axis=1, kind="stable")
        rows.append(among[np.take_along_axis(nearest, order, axis=1)])
        apart = np.maximum(squares[part, None] - 2 * np.take_along_axis(found, order, axis=1), 0.0)
        distances.append(apart / 2 if angles else np.sqrt(apart))
    return Neighbours(np.concatenate(rows), np.concatenate(distances))


def outliers(near: Neighbours) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of outliers, the farthest first, and the distance (examples,) of each example in medians."""
    distance = near.distances.mean(axis=1)
    middle = float(np.median(distance))
    if len(distance) < FEWEST or middle <= 0:
        return np.empty(0, np.int64), np.ones(len(distance))
    logs = np.log(np.maximum(distance / middle, 1e-12))
    low, high = np.quantile(logs, 1 - np.array(TAIL))
    rate = (high - low) / np.log(TAIL[0] / TAIL[1])
    far = logs > low + rate * np.log(TAIL[0] * len(distance) / RATE) + 1e-9
    rows = np.flatnonzero(far)
    return rows[np.argsort(-distance[rows], kind="stable")], distance / middle


def order_of(near: Neighbours, strata: np.ndarray, seed: int) -> Order | None:
    """Hold the order of the rows against random ones; None where too few neighbours share a stratum.

    Args:
        near: of the examples in their order.
        strata: (examples,) int.
        seed: of the permutations.
    """
    one = np.repeat(np.arange(len(near.rows)), near.rows.shape[1])
    other = near.rows.reshape(-1)
    same = strata[one] == strata[other]
    one, other = one[same], other[same]
    if len(near.rows) < FEWEST or len(one) < FEWEST:
        return None
    within = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    place = np.empty(len(strata), np.int64)
    for rows in within:
        place[rows] = np.arange(len(rows))
    draws = np.random.default_rng(draw_seed(seed, "order of examples"))
    apart = _log_apart(place, one, other)
    random = []
    for _ in range(PERMUTATIONS):
        for rows in within:
            place[rows] = draws.permutation(len(rows))
        random.append(_log_apart(place, one, other))
    at_most = int((np.array(random) <= apart + 1e-12).sum())
    return Order(float(np.exp(apart)), float(np.exp(np.mean(random))), (1 + at_most) / (1 + PERMUTATIONS))


def _log_apart(place: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    return float(np.log(np.maximum(np.abs(place[one] - place[other]), 1)).mean())
