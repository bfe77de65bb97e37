"""Task: what is predicted, how outputs are read, lost, scored and shown. Targets are a named mapping of columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from torch import Tensor, nn

from headstart.contracts.carriers import Batch, Features, Prediction
from headstart.contracts.examples import Examples
from headstart.contracts.exhibits import Exhibit, Mistake

Targets = Mapping[str, np.ndarray]
"""Target name -> array whose first axis is the example; ragged targets are object arrays."""

Replicates = Callable[[np.ndarray], np.ndarray]
"""Example weights (resamples, examples), zero or more each -> the metric under each weighting (resamples,)."""


@dataclass(frozen=True)
class Metric:
    """A figure of merit over a set of predictions."""

    name: str
    """As in metrics.json: 'accuracy', 'macro_f1', 'log_loss'."""
    greater_is_better: bool
    score: Callable[[Targets, Prediction], float]
    """By the field's reference implementation; NaN where the metric is undefined."""
    replicates: Callable[[Targets, Prediction], Replicates]
    """The same metric for many reweightings of the examples at once, for the bootstrap."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """The least and the greatest value that the metric can have."""


class Task(Protocol):
    """What a file in `tasks/` offers. A task is bound to data before use: binding fills in class names and the like."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Why this task fits the data's targets, in a few words; None when it does not."""
        ...

    def bind(self, examples: Examples) -> Self:
        """The task with everything learnt from the labelled data: class names, counts, target scale.

        Raises:
            DataError: the targets cannot serve: one class, mixed kinds, missing values.
        """
        ...

    def targets(self, examples: Examples) -> Targets:
        """The targets encoded for training. Raises DataError on a value that binding did not see."""
        ...

    def strata(self, targets: Targets) -> np.ndarray:
        """(examples,) int: what a stratified split keeps in proportion."""
        ...

    def head(self, width: int) -> nn.Module:
        """A fresh head for pooled features of that width (or tokens or maps of it)."""
        ...

    def apply(self, head: nn.Module, features: Features, batch: Batch) -> Mapping[str, Tensor]:
        """Named outputs of the head; sees the batch, for teacher forcing and candidates."""
        ...

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Named scalar loss terms, to be summed."""
        ...

    def decode(self, outputs: Mapping[str, Tensor]) -> Prediction:
        """Outputs as plain arrays, one row per example, before calibration."""
        ...

    def calibrate(self, prediction: Prediction, targets: Targets) -> Mapping[str, float]:
        """Calibration fitted on validation data, such as {"temperature": 1.3}; empty where there is nothing to fit."""
        ...

    def finish(self, prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:
        """The decoded prediction with calibrated scores added; what metrics and users see."""
        ...

    def metrics(self) -> tuple[Metric, ...]:
        """The first is the primary one."""
        ...

    def solve(
        self, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
    ) -> tuple[nn.Module, dict[str, float]]:
        """The best linear head on frozen features (examples, width), its regularisation chosen by cross-validation.

        Returns the head, in the form `head(width)` has, and what was chosen, for the report.
        """
        ...

    def rows(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """The columns that `predict` writes, one value per example."""
        ...

    def exhibits(self, prediction: Prediction, targets: Targets) -> tuple[Exhibit, ...]:
        """What the report shows of the predictions beside the metrics."""
        ...

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """The worst predictions, worst first, at most `most`."""
        ...
