"""Which unlabelled examples to label next, from frozen features.

While labels are few, typical examples of clusters that have none (TypiClust, Hacohen, Dekel & Weinshall 2022, "Active
learning on a budget: opposite strategies suit high and low budgets"): pool and labelled examples are cut into as many
clusters as there will be labels, and from the largest of those with the fewest labels the example is taken whose
nearest neighbours within its cluster are the nearest. Clusters of fewer than five examples come last; the paper drops
them.

Later, examples of which a probe is unsure and that differ from each other (BADGE, Ash et al. 2020): k-means++ on the
gradients of the probe's loss, (p - e_guess) x features, whose lengths are large where the probe is unsure. Differs from
the paper: the gradient 0 counts as chosen, so that no example of which the probe is sure lies far from all that are.

Both work on features of length one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

from headstart.kernel.randomness import draw_seed
from headstart.numerics.standardisation import of_unit_length

NEIGHBOURS = 20
"""Neighbours within a cluster that the typicality of an example rests on, as in the paper."""

MOST_CLUSTERS = 500
"""As in the paper: more labels share clusters."""

MANY = 50
"""Clusters above which they are found by mini-batches, as in the paper."""

AT_ONCE = 1 << 22
"""Distances computed at a time."""


DIGITS = 6
"""Of mean distances: what rounding alone tells apart keeps the order of the pool."""


class Suggestion(NamedTuple):
    """An example worth a label."""

    row: int
    """In the pool."""
    reason: str


def typical(pool: np.ndarray, labelled: np.ndarray, count: int, seed: int) -> list[Suggestion]:
    """Return typical examples of clusters without labels, those of the largest clusters first.

    Args:
        pool: (examples, width) features. labelled: (labelled, width), perhaps none.
        count: number of suggestions, at most the size of the pool.
        seed: of the clusters.
    """
    everything = of_unit_length(np.concatenate([pool, labelled.reshape(-1, pool.shape[1])]).astype(np.float64))
    number = min(len(labelled) + count, MOST_CLUSTERS, len(everything))
    cluster = clusters_of(everything, number, seed)
    own, theirs = cluster[: len(pool)], cluster[len(pool) :]
    labels, sizes = np.bincount(theirs, minlength=number), np.bincount(own, minlength=number)
    order: dict[int, Iterator[int]] = {}
    found: list[Suggestion] = []
    taken, left = labels.copy(), sizes.copy()
    while len(found) < count:
        k = int(np.lexsort((-sizes, np.where(left > 0, taken, len(everything))))[0])
        if k not in order:
            order[k] = iter(_most_typical_first(everything, np.flatnonzero(own == k)))
        of = f"typical of {sizes[k]:,} similar examples" if sizes[k] > 1 else "unlike others of the pool"
        found.append(Suggestion(next(order[k]), f"{of}, {_already(int(labels[k]), int(taken[k] - labels[k]))}"))
        taken[k] += 1
        left[k] -= 1
    return found


def uncertain(
    pool: np.ndarray, probabilities: np.ndarray, guesses: Sequence[str], count: int, seed: int
) -> list[Suggestion]:
    """Return examples of which a probe is unsure and that differ from each other.

    Args:
        pool: (examples, width) features. probabilities: (examples, classes) of the probe. guesses: name of the
            likeliest class of each example.
        count: number of suggestions, at most the size of the pool.
        seed: of the draws.
    """
    residual = probabilities.astype(np.float64).copy()
    guess = residual.argmax(axis=1)
    sure = residual[np.arange(len(pool)), guess]
    residual[np.arange(len(pool)), guess] -= 1.0
    rows = _spread(pool, residual, count, seed)
    return [Suggestion(row, f"guessed {guesses[row]}, {sure[row]:.0%} sure") for row in rows]


def hesitant(pool: np.ndarray, margins: np.ndarray, count: int, seed: int) -> list[Suggestion]:
    """Return examples that a model answers with small margins and that differ, where none has a single class.

    As `uncertain`, with 1 - margin in place of p - e_guess.

    Args:
        pool: (examples, width) features. margins: (examples,) in [0, 1].
        count: number of suggestions, at most the size of the pool.
        seed: of the draws.
    """
    rows = _spread(pool, 1.0 - margins[:, None].astype(np.float64), count, seed)
    return [Suggestion(row, f"mean margin of the likeliest answers {margins[row]:.0%}") for row in rows]


def _spread(pool: np.ndarray, residual: np.ndarray, count: int, seed: int) -> list[int]:
    """Return rows drawn by k-means++ on the products of residual (examples, answers) and features, from the longest."""
    features = of_unit_length(pool.astype(np.float64))
    length = np.square(residual).sum(axis=1) * np.square(features).sum(axis=1)
    draws = np.random.default_rng(draw_seed(seed, "suggestions"))
    chosen, distance, free = list[int](), length.copy(), np.ones(len(pool), dtype=bool)
    while len(chosen) < count:
        weight = np.where(free, distance, 0.0)
        total = weight.sum()
        share = weight / total if total > 0 else free / free.sum()  # else all that is left repeats what is chosen
        row = int(draws.choice(len(pool), p=share)) if chosen else int(weight.argmax())
        chosen.append(row)
        free[row] = False
        near = length + length[row] - 2 * (residual @ residual[row]) * (features @ features[row])
        distance = np.minimum(distance, np.maximum(near, 0.0))
    return chosen


def _already(before: int, now: int) -> str:
    if before + now == 0:
        return "none of them labelled"
    return f"{before} labelled" if not now else f"{before} labelled and {now} suggested"


def clusters_of(features: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Return the number (examples,) of the cluster of each example, by k-means, in mini-batches for many clusters."""
    state = draw_seed(seed, "clusters of a pool") % 2**32
    kind = MiniBatchKMeans(number, n_init=1, batch_size=5000, random_state=state) if number > MANY else None
    with warnings.catch_warnings():  # fewer distinct examples than clusters are in order
        warnings.simplefilter("ignore")
        found: np.ndarray = (kind or KMeans(number, n_init=1, random_state=state)).fit_predict(features)
    return found


def _most_typical_first(features: np.ndarray, rows: np.ndarray) -> list[int]:
    """Return the rows of a cluster in order of their mean distance to their nearest neighbours within it."""
    inside, count = features[rows], min(NEIGHBOURS, len(rows) - 1)
    if count < 1:
        return [int(row) for row in rows]
    means = []
    for part in np.array_split(np.arange(len(rows)), -(-(len(rows) ** 2) // AT_ONCE)):
        squares = np.maximum(2 - 2 * (inside[part] @ inside.T), 0.0)
        squares[np.arange(len(part)), part] = 0.0
        nearest = np.partition(squares, count, axis=1)[:, : count + 1]  # itself among them
        means.append(np.sqrt(nearest).sum(axis=1) / count)
    order = np.argsort(np.concatenate(means).round(DIGITS), kind="stable")
    return [int(row) for row in rows[order]]
