"""Metric: a figure of merit with the title, unit, direction and bounds that reports need, and how it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.kernel.errors import SettingsError
from headstart.kernel.settings import Settings

if TYPE_CHECKING:  # records are read without torch
    from headstart.contracts.carriers import Prediction

SHARE = "share"
"""Unit of a number in [0, 1] that is written in percent."""

Replicates = Callable[[np.ndarray], np.ndarray]
"""Example weights (resamples, examples), each >= 0 -> the metric under each weighting (resamples,)."""


class MetricInfo(Settings):
    """Title and unit of a metric; records keep it beside the figures, so that reports need no task."""

    title: str
    """'Balanced accuracy'."""
    unit: str = ""
    """'share' is written in percent, '' as a plain number; any other, such as 'mm', stands behind the number."""
    greater_is_better: bool | None = None
    """None where neither direction is better."""
    least: float | None = None
    """The least value that the metric can have; None where there is none."""
    greatest: float | None = None
    """The greatest value; None where there is none."""
    note: str = ""
    """How to read it, in a sentence."""


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
    """As in `MetricInfo`."""
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

    @property
    def info(self) -> MetricInfo:
        """Return the part of the metric that a record keeps."""
        least, greatest = (bound if math.isfinite(bound) else None for bound in self.bounds)
        return MetricInfo(
            title=self.title,
            unit=self.unit,
            greater_is_better=self.greater_is_better,
            least=least,
            greatest=greatest,
        )
