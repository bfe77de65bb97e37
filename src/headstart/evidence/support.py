"""Examples that a figure rests on, and the reason to give it no interval where they are too few to cover the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array

from headstart.contracts.metric import Metric, Support
from headstart.contracts.prediction import Prediction
from headstart.numerics.score_interval import Shares

FEWEST = 5
"""Examples, or groups, below which a part of the data gets no interval, and a slice no figures."""

MANY = 10
"""Shares of equal weight from which on a mean covers though some of them rest on fewer than `FEWEST`, or on nothing."""

MOST_NAMES = 3
"""Names that a reason lists."""


class Rest:
    """Examples that the figures of one prediction rest on, counted in examples or in groups."""

    def __init__(self, examples: int, groups: np.ndarray | None) -> None:
        """`groups` (examples,) are drawn together; None for examples."""
        codes = np.arange(examples) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self.independent = int(codes.max(initial=-1)) + 1
        self.examples = examples
        self._member = csr_array((np.ones(examples), (codes, np.arange(examples))), shape=(self.independent, examples))
        self._counted = "" if groups is None else "groups with "

    def too_few(self, support: Support | None, fewest: int = FEWEST, *, absent: bool = True) -> str:
        """Return why there is no interval: "too few examples of 'spam': 2"; empty where there can be one.

        Args:
            support: of the metric.
            fewest: examples or groups that each name needs; where none of many weighs much, any will do.
            absent: whether a name without any example counts; it does not where the examples cannot have it.
        """
        if self.independent < FEWEST:
            return f"too few {'groups' if self._counted else 'examples'}: {self.independent}"
        if support is None:
            return ""
        counted = zip(self.counts(support), support.names)
        rare = [(count, name) for count, name in counted if count < fewest and (count or absent)]
        if not rare or (fewest == FEWEST and self._of_many(support)):
            return ""
        listed = [f"{name}: {count}" for count, name in rare[:MOST_NAMES]]
        more = [f"{len(rare) - MOST_NAMES} more"] if len(rare) > MOST_NAMES else []
        *most, last = [*listed, *more]
        return f"too few {self._counted}{support.noun} {', '.join(most)}{' and ' if most else ''}{last}"

    def _of_many(self, support: Support) -> bool:
        """Return whether the variance is that of so many shares, or classes, that their errors average out."""
        shares, counts = self.shares(support), np.array(self.counts(support))
        weights = counts / max(counts.sum(), 1) if shares is None else shares.weights
        return 1 / max(float((weights**2).sum()), 1e-12) >= MANY

    def counts(self, support: Support) -> list[int]:
        """Examples or groups of each name."""
        return [int(count) for count in ((self._member @ support.rows) > 0).sum(axis=0)]

    def rarest(self, support: Support | None) -> int:
        """Examples or groups that the least known part of a figure without shares rests on."""
        if support is None or support.values is not None or self._of_many(support):
            return self.independent
        return min(filter(None, self.counts(support)), default=0)

    def shares(self, support: Support | None) -> Shares | None:
        """The shares whose mean a metric is; None where they are not known."""
        if support is None or support.values is None or support.trials is None or np.isnan(support.values).all():
            return None
        counts = np.array(self.counts(support), dtype=np.float64)
        if len(counts) != len(support.values):
            counts = np.full(len(support.values), counts.min())
        defined, trials = ~np.isnan(support.values), support.trials * (self.independent / self.examples)
        steps = None if support.steps is None else support.steps[defined] * (self.examples / self.independent)
        return Shares(support.values[defined], trials[defined], np.maximum(counts, 1.0)[defined], steps)


def support_of(metric: Metric, targets: Mapping[str, np.ndarray], prediction: Prediction) -> Support | None:
    """Support of a metric of a prediction; None where that is any example."""
    return None if metric.support is None else metric.support(targets, prediction)
