"""Metric: a figure of merit with the title, unit, direction and bounds that reports need, and how it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from headstart.contracts.prediction import Prediction
from headstart.kernel.errors import SettingsError

SHARE = "share"
"""Unit of a number in [0, 1] that is written in percent."""

Replicates = Callable[[np.ndarray], np.ndarray]
"""Example weights (resamples, examples), each >= 0 -> the metric under each weighting (resamples,), or NaN."""


class Support(NamedTuple):
    """Examples that a metric rests on: of few of them in a class its interval would not cover, and is left out."""

    noun: str
    """'examples of', before each of the names."""
    names: Sequence[str]
    """Of the classes or whatever the metric counts, as a sentence has them: "'spam'"."""
    rows: csr_array
    """(examples, names): nonzero where an example speaks of it."""
    values: np.ndarray | None = None
    """(names,) in [0, 1]: the shares whose mean the metric is, such as the recall of each class; None for others."""
    trials: np.ndarray | None = None
    """(names,) > 0: independent yes/no trials that would leave each share as uncertain."""
    prior: float = 0.0
    """Examples for which `trials` count beside the bootstrap's variance, where that is unsteady."""
    fewest: int = 5
    """Examples, or groups of them, below which a figure has no interval."""
    steps: np.ndarray | None = None
    """(names,) > 0: change of each share by one example that is answered otherwise; None for 1 / trials."""


@dataclass(frozen=True)
class Metric:
    """A figure of merit over a set of predictions."""

    name: str
    """As in metrics.json: 'accuracy', 'macro_f1', 'log_loss'."""
    title: str
    """As in reports: 'Accuracy', 'Macro F1', 'Log loss'."""
    greater_is_better: bool
    score: Callable[[Mapping[str, np.ndarray], Prediction], float]
    """By the field's reference implementation; NaN where the metric is undefined."""
    replicates: Callable[[Mapping[str, np.ndarray], Prediction], Replicates]
    """The same metric for many reweightings of the examples at once, for the bootstrap."""
    unit: str = ""
    """'share' is written in percent, '' as a plain number; any other, such as 'mm', stands behind the number."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """The least and the greatest value that the metric can have."""
    breaks_ties: bool = False
    """Whether it sees by how much each prediction is right, so that it can tell models apart whose primary metric is
    nearly the same: a loss of predicted probabilities."""
    support: Callable[[Mapping[str, np.ndarray], Prediction], Support] | None = None
    """Classes or labels that it rests on; None where that is any example."""
    rows: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None = None
    """Examples (examples,) bool that it counts, where others may lack the label; None where it counts all."""
    flaw: str = ""
    """Why no interval of a figure covers what is true of all examples; empty where one does."""

    def __post_init__(self) -> None:
        """Raises SettingsError where the metric has no title, or is a share that may leave [0, 1]."""
        if not self.title.strip():
            raise SettingsError(f"The metric '{self.name}' has no title: give the name that reports should show.")
        if self.unit == SHARE and not (0.0 <= self.bounds[0] <= self.bounds[1] <= 1.0):
            raise SettingsError(f"The metric '{self.name}' is a share but its bounds are {self.bounds}, not in [0, 1].")
