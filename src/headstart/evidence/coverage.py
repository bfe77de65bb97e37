"""Examples that cover most of a pool (ProbCover, Yehuda, Dekel, Hacohen & Weinshall 2022, "Active learning through a
covering lens").

An example covers all that are nearer to it than a radius delta. Each suggestion covers the most examples that neither a
labelled one nor an earlier suggestion covers. Delta is the largest radius at which 95 % of the balls are pure: cut the
examples into as many clusters as there are classes; a ball is pure where all in it are of the cluster of its centre. A
ball is so up to the distance of the nearest example of another cluster, so that delta is the 5 % quantile of those.
Features have length one. Distances are computed anew where they are needed: the paper's graph of all pairs is not kept.
"""

from __future__ import annotations

import numpy as np

from headstart.evidence.suggestions import Suggestion, clusters_of, typical
from headstart.kernel.randomness import draw_seed
from headstart.numerics.standardisation import of_unit_length

PURE = 0.95
"""Share of balls that are pure, as in the paper."""

MEASURED = 2_000
"""Most examples whose nearest of another cluster is sought; drawn where there are more."""

AT_ONCE = 1 << 22
"""Distances computed at a time."""


def covering(pool: np.ndarray, labelled: np.ndarray, count: int, clusters: int, seed: int) -> list[Suggestion]:
    """Return the examples that cover the most of the pool that is not covered yet.

    Args:
        pool: (examples, width) features. labelled: (labelled, width), perhaps none.
        count: number of suggestions, at most the size of the pool.
        clusters: number of clusters whose purity decides the radius: that of the classes.
        seed: of clusters and draws.
    """
    joined = np.concatenate([pool, labelled.reshape(-1, pool.shape[1])])
    everything = of_unit_length(joined.astype(np.float64)).astype(np.float32)
    square = pure_radius(everything, clusters, seed) ** 2 * (1 - 1e-5)  # what lies on the radius is out, rounded or not
    covered = np.zeros(len(everything), dtype=bool)
    for rows in _blocks(np.arange(len(pool), len(everything)), len(everything)):
        covered |= _near(everything, rows, square).any(axis=0)
    gain = np.zeros(len(pool), dtype=np.int64)
    for rows in _blocks(np.arange(len(pool)), len(everything)):
        gain[rows] = (_near(everything, rows, square) & ~covered).sum(axis=1)
    found: list[Suggestion] = []
    while len(found) < count and gain.max() > 0:
        row = int(gain.argmax())
        of = f"stands for {gain[row]:,} examples" if gain[row] > 1 else "unlike others of the pool"
        found.append(Suggestion(row, f"{of}, no labelled one near"))
        new = np.flatnonzero(~covered & _near(everything, np.array([row]), square)[0])
        covered[new] = True
        for rows in _blocks(new, len(everything)):
            gain -= _near(everything, rows, square)[:, : len(pool)].sum(axis=0)
        gain[row] = 0
    if len(found) == count:
        return found
    chosen = [one.row for one in found]
    rest = np.delete(np.arange(len(pool)), chosen)
    known = np.concatenate([labelled.reshape(-1, pool.shape[1]), pool[chosen]])
    others = typical(pool[rest], known, count - len(found), seed)
    return [*found, *(Suggestion(int(rest[one.row]), one.reason) for one in others)]


def pure_radius(features: np.ndarray, clusters: int, seed: int) -> float:
    """Return the largest radius at which the balls around `PURE` of the examples hold none of another cluster.

    Args:
        features: (examples, width) of length one. clusters: number of clusters. seed: of clusters and draws.
    """
    cluster = clusters_of(features, min(clusters, len(features)), seed)
    draws = np.random.default_rng(draw_seed(seed, "balls of a pool"))
    measured = draws.permutation(len(features))[:MEASURED]
    nearest = [
        np.where(cluster[rows][:, None] == cluster, np.inf, _squares(features, rows)).min(axis=1)
        for rows in _blocks(measured, len(features))
    ]
    found = np.quantile(np.sqrt(np.concatenate(nearest)), 1 - PURE, method="lower")
    return float(min(found, 2.0))  # no two examples are farther apart: a single cluster


def _blocks(rows: np.ndarray, examples: int) -> list[np.ndarray]:
    """Return the rows in parts whose distances to all examples fit into memory."""
    return np.array_split(rows, max(1, -(-len(rows) * examples // AT_ONCE)))


def _squares(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return squared distances (rows, examples), those of an example to itself 0."""
    found = np.maximum(2 - 2 * (features[rows] @ features.T), 0.0)
    found[np.arange(len(rows)), rows] = 0.0
    return found


def _near(features: np.ndarray, rows: np.ndarray, square: float) -> np.ndarray:
    """Return which examples (rows, examples) the balls around some rows hold, their centres always."""
    found = _squares(features, rows) < square
    found[np.arange(len(rows)), rows] = True
    return found
