"""Metric: a figure of merit with the title, unit, direction and bounds that reports need, and how it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from headstart.contracts.prediction import Prediction
from headstart.kernel.errors import SettingsError

SHARE = "share"
"""Unit of a number in [0, 1] that is written in percent."""

Replicates = Callable[[np.ndarray], np.ndarray]
"""Example weights (resamples, examples), each >= 0 -> the metric under each weighting (resamples,), or NaN."""


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

    def __post_init__(self) -> None:
        """Raises SettingsError where the metric has no title, or is a share that may leave [0, 1]."""
        if not self.title.strip():
            raise SettingsError(f"The metric '{self.name}' has no title: give the name that reports should show.")
        if self.unit == SHARE and not (0.0 <= self.bounds[0] <= self.bounds[1] <= 1.0):
            raise SettingsError(f"The metric '{self.name}' is a share but its bounds are {self.bounds}, not in [0, 1].")
