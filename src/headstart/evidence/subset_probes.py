"""Probes on growing subsets: every example predicted by learners that have not seen its fold.

The rest of each fold is put in an order whose every beginning holds the strata in proportion, and learnt from up to its
half, its quarter and so on. All sizes predict the same examples, so that their figures can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.evidence.folds import Fold
from headstart.evidence.held_out_probe import Learn
from headstart.evidence.label_curve import Measured
from headstart.kernel.randomness import draw_seed
from headstart.numerics.bootstrap import Resamples

DRAWS = 2
"""Subsets of each size that are drawn from a fold; the largest is the same in all."""

MOST_SIZES = 5


@dataclass(frozen=True)
class Subsets:
    """Nested subsets of labelled rows, and the rows that they are to predict."""

    sizes: Sequence[int]
    """Ascending."""
    orders: Sequence[Sequence[np.ndarray]]
    """For each fold and draw the rows to learn from, whose beginnings are the subsets."""
    held: Sequence[np.ndarray]
    """For each fold the rows to predict."""

    @property
    def rows(self) -> np.ndarray:
        """All rows that are predicted (rows,), ascending."""
        return np.sort(np.concatenate(self.held))

    def predictions(self, learn: Learn, draws: int = DRAWS) -> list[list[Prediction]]:
        """For each size and draw, of so many at most, the predictions of all `rows`."""
        return [
            [self._prediction(learn, size, draw) for draw in range(1 if size == self.sizes[-1] else draws)]
            for size in self.sizes
        ]

    def _prediction(self, learn: Learn, size: int, draw: int) -> Prediction:
        parts = [learn(np.sort(orders[draw][:size]), held) for orders, held in zip(self.orders, self.held)]
        return Prediction.join(parts).take(np.argsort(np.concatenate(self.held)))


def halves(largest: int, fewest: int) -> list[int]:
    """Return `largest` and what is left of it by halving, down to `fewest`, ascending."""
    sizes = [largest]
    while sizes[-1] // 2 >= fewest and len(sizes) < MOST_SIZES:
        sizes.append(sizes[-1] // 2)
    return sizes[::-1]


def nested_subsets(
    folds: Sequence[Fold], strata: np.ndarray, units: np.ndarray | None, sizes: Sequence[int], seed: int
) -> Subsets:
    """Draw the subsets.

    Args:
        folds: of labelled rows; perhaps not all of them.
        strata: (all,) int: what each subset holds in proportion.
        units: (all,) int: rows of a number are drawn together; None where each is by itself.
        sizes: ascending, at most what a fold leaves.
        seed: of the draws.
    """
    orders = [
        [growing_order(fold.rest, strata, units, draw_seed(seed, f"subsets {place} {draw}")) for draw in range(DRAWS)]
        for place, fold in enumerate(folds)
    ]
    return Subsets(sizes, orders, [fold.held for fold in folds])


def growing_order(rows: np.ndarray, strata: np.ndarray, units: np.ndarray | None, seed: int) -> np.ndarray:
    """Return `rows` (some,) in a random order of whole units; every beginning holds the strata in proportion."""
    drawn = rows if units is None else units[rows]
    _, first, unit = np.unique(drawn, return_index=True, return_inverse=True)
    draws, places, stratum = np.random.default_rng(seed), np.empty(len(first)), strata[rows[first]]
    for one in np.unique(stratum):
        here = np.flatnonzero(stratum == one)
        places[here] = (draws.permutation(len(here)) + draws.random(len(here))) / len(here)
    return rows[np.argsort(places[unit], kind="stable")]


def measured(
    metric: Metric,
    targets: Targets,
    sizes: Sequence[int],
    predictions: Sequence[Sequence[Prediction]],
    groups: np.ndarray | None,
    seed: int,
) -> Measured:
    """Measure predictions by size and draw, in the mean over draws, all on the same resamples of `groups`."""
    counts = [len(draws) for draws in predictions]
    flat = [prediction for draws in predictions for prediction in draws]
    resamples = Resamples(len(flat[0]), groups, seed)
    replicates = resamples.of(*(metric.replicates(targets, prediction) for prediction in flat))
    values = [metric.score(targets, prediction) for prediction in flat]
    starts = np.cumsum([0, *counts[:-1]])
    return Measured(
        np.array(sizes),
        np.add.reduceat(values, starts) / counts,
        np.add.reduceat(replicates, starts, axis=0).T / counts,
        resamples.independent,
        metric.bounds,
        metric.greater_is_better,
    )
