"""Groups of examples on which a model does worse than on the rest: clusters of inputs, and values of attributes.

Each group's share of right predictions is held against that of all other examples by Fisher's exact test (one-sided),
and the p-values of all groups are corrected together (Holm 1979): where no group differs, one is named in at most
`LEVEL` of data sets. The difference has Newcombe's interval (1998, method 10).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom, norm
from sklearn.cluster import KMeans

from headstart.evidence.attributes import Values
from headstart.kernel.randomness import draw_seed
from headstart.numerics.standardisation import of_unit_length

LEVEL = 0.05
FEWEST = 20
"""Examples of a group, and of the rest, at least."""
LEAST = 0.05
"""Difference of the shares from which a group is worth a word."""
MOST_VALUES, BINS = 20, 4
MOST_FITTED = 10_000
"""Examples that clusters are made of; all others join the nearest."""


class Group(NamedTuple):
    """Some of the examples."""

    name: str
    rows: np.ndarray
    """(some,) int."""


class WeakGroup(NamedTuple):
    """A group on which predictions are worse."""

    group: Group
    share: float
    """Right predictions in it."""
    rest: float
    """Right predictions elsewhere."""
    low: float
    """Ends of the 95 % interval of the difference, below 0."""
    high: float
    p: float
    """Corrected for all groups."""
    tested: int
    """Number of groups."""


def weak_groups(right: np.ndarray, groups: list[Group]) -> list[WeakGroup]:
    """Return the groups that are significantly worse, the worst first.

    Args:
        right: (examples,) bool, whether each is predicted right by a model that has not seen it.
        groups: those of fewer than `FEWEST` examples, or that leave fewer, are passed over.
    """
    total, all_right = len(right), int(right.sum())
    some = [one for one in groups if FEWEST <= len(one.rows) <= total - FEWEST]
    hits = [int(right[one.rows].sum()) for one in some]
    p = np.array([hypergeom.cdf(hit, total, all_right, len(one.rows)) for hit, one in zip(hits, some)])
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(np.minimum(p[order] * (len(p) - np.arange(len(p))), 1.0))
    found = []
    for place, at in enumerate(order.tolist()):
        inside, outside = len(some[at].rows), total - len(some[at].rows)
        share, rest = hits[at] / inside, (all_right - hits[at]) / outside
        if corrected[place] <= LEVEL and rest - share >= LEAST:
            low, high = newcombe(hits[at], inside, all_right - hits[at], outside)
            found.append(WeakGroup(some[at], share, rest, low, high, float(corrected[place]), len(some)))
    return sorted(found, key=lambda one: one.share - one.rest)


def newcombe(hits: int, count: int, others: int, rest: int) -> tuple[float, float]:
    """Return the 95 % interval of hits / count - others / rest, from the two Wilson intervals."""
    (p, low, high), (q, down, up) = _wilson(hits, count), _wilson(others, rest)
    return p - q - math.hypot(p - low, up - q), p - q + math.hypot(high - p, q - down)


def _wilson(hits: int, count: int) -> tuple[float, float, float]:
    """A share with its 95 % interval."""
    z, p = float(norm.ppf(0.975)), hits / count
    middle, half = p + z**2 / (2 * count), z * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    return p, (middle - half) / (1 + z**2 / count), (middle + half) / (1 + z**2 / count)


def clusters_of(features: np.ndarray, seed: int) -> list[tuple[int, np.ndarray]]:
    """Cut features (examples, width) into clusters: of each the most central row, and its rows, that one among them."""
    number = min(20, len(features) // 50)
    if number < 2:
        return []
    unit = of_unit_length(features)
    draws = draw_seed(seed, "clusters of examples") % 2**32
    fitted = np.random.default_rng(draws).permutation(len(unit))[:MOST_FITTED]
    kind = KMeans(number, n_init=1, max_iter=50, random_state=draws).fit(unit[fitted])
    far = kind.transform(unit)
    member = far.argmin(axis=1)
    rows = [np.flatnonzero(member == k) for k in range(number)]
    return [(int(some[far[some, k].argmin()]), some) for k, some in enumerate(rows) if len(some)]


def groups_by_attribute(attributes: Mapping[str, Values], strata: np.ndarray) -> list[Group]:
    """Return a group for each value of attributes of few values, and for quarters of those of numbers.

    Args:
        attributes: name -> (examples,) values.
        strata: (examples,) int: classes. A group that is merely one of them is left out.
    """
    found = []
    for name, values in attributes.items():
        for value, rows in _parts(values):
            classes = np.unique(strata[rows])
            if not len(rows):  # ties may leave nothing between two quartiles
                continue
            if len(classes) > 1 or len(rows) < 0.9 * (strata == classes[0]).sum() or len(np.unique(strata)) == 1:
                found.append(Group(f"{name} {value}", rows))
    return found


def _parts(values: Values) -> list[tuple[str, np.ndarray]]:
    if not isinstance(values, np.ndarray):
        names = np.array(["" if value is None else str(value) for value in values], dtype=object)
        distinct = [name for name in sorted(set(names.tolist())) if name]
        many = not 2 <= len(distinct) <= MOST_VALUES
        return [] if many else [(f"'{name}'", np.flatnonzero(names == name)) for name in distinct]
    known = values[np.isfinite(values)]
    if not len(known):
        return []
    few = np.unique(known)
    if len(few) <= BINS:
        return [(f"{value:g}", np.flatnonzero(values == value)) for value in few] if len(few) > 1 else []
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    bins = np.where(
        np.isfinite(values), np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2), -1
    )
    return [(f"{edges[k]:g} to {edges[k + 1]:g}", np.flatnonzero(bins == k)) for k in range(len(edges) - 1)]
