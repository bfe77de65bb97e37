"""Figures as records keep them: a number with its interval, and the title and unit of its metric."""

from __future__ import annotations

import math
from typing import NamedTuple

from headstart.contracts.metric import Metric
from headstart.kernel.settings import Settings


class Figure(NamedTuple):
    """A measured number with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """How many independent things it rests on: examples, or groups where there are groups."""
    reason: str = ""
    """Why there is no interval, in a few words; empty where there is one or records do not say."""

    def to_json(self) -> dict[str, float | int | str]:
        """{"value", "low", "high", "n"}, and "reason" where there is no interval."""
        return {name: value for name, value in self._asdict().items() if name != "reason" or value}


class MetricInfo(Settings):
    """Title and unit of a metric; records keep it beside the figures, so that reports need no task."""

    title: str
    """'Balanced accuracy'."""
    unit: str = ""
    """As `Metric.unit`."""
    greater_is_better: bool | None = None
    """None where neither direction is better."""
    least: float | None = None
    """The least value that the metric can have; None where there is none."""
    greatest: float | None = None
    """The greatest value; None where there is none."""
    note: str = ""
    """How to read it, in a sentence."""


def info_of(metric: Metric) -> MetricInfo:
    """Return the part of a metric that a record keeps."""
    least, greatest = (bound if math.isfinite(bound) else None for bound in metric.bounds)
    return MetricInfo(
        title=metric.title,
        unit=metric.unit,
        greater_is_better=metric.greater_is_better,
        least=least,
        greatest=greatest,
    )
