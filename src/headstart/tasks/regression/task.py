"""Regression: one number per example, from pooled features through a linear head.

The head predicts the target in standard units, z = (y - mean) / scale, so that learning rates mean the same whatever
the unit; the loss is the mean of (head - z)^2; decoding goes back to the target's unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from torch import nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.linear_model import LinearModel
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import VALUES
from headstart.contracts.targets import WEIGHT, TargetKinds
from headstart.contracts.task import BoundTask, Calibration, Evaluation, FeatureSource, SplitPolicy, Targets, Tensors
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.tasks._label_kinds import (
    TARGET,
    class_reason,
    column_of,
    kind_of,
    label_kind,
    require_labels,
)
from headstart.tasks.regression.metrics import regression_metrics

START_SCALE = 0.01
"""Standard deviation of a fresh head's weights: small, so that training starts from the mean."""

LARGEST, SMALLEST = 1e100, 1e-100
"""Of what targets may be, and of how much they may differ: beyond, squares and sums of squares are not numbers."""

ROUNDING = 1e-12
"""Of their size, by which targets must differ to be told from rounding."""

MOST_STRATA = 10
SMALLEST_STRATUM = 10
"""Examples per quantile bin at least, so that every part of a split can get some."""


class Regression(Settings):
    """One number per example."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why the labels are quantities: decimal numbers, or whole ones of many distinct values; else None.

        Raises:
            DataError: labels of different kinds are mixed, or there is none.
        """
        if TARGET not in examples.schema.targets:
            return None
        if class_reason(examples) is not None:
            return None
        distinct = len({value for value in examples.target(TARGET) if kind_of(value) != "missing"})
        return f"the labels are numbers with {distinct} different values"

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep quantile bins of equal size in proportion, at most 10."""
        return _by_quantile(_values(examples))

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundRegression:
        """Learn mean and scale.

        Raises:
            DataError: missing labels, text or true/false, infinite values, values too large or too alike to be
                learnt from in their unit, or the same value everywhere.
        """
        values = _values(examples)
        _require_difference(examples, values)
        return BoundRegression(settings=self, mean=float(values.mean()), scale=float(values.std()))

    def restore(self, learnt: Mapping[str, Any]) -> BoundRegression:
        """Take mean and scale as they were learnt."""
        return BoundRegression.model_validate({**learnt, "settings": self})


class BoundRegression(BoundTask):
    """Regression whose scale is known."""

    target_kinds: ClassVar[TargetKinds] = {TARGET: VALUES}

    settings: Regression
    mean: float = Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)
    """Mean of the training targets, in their unit."""
    scale: float = Field(ge=SMALLEST, le=LARGEST, allow_inf_nan=False)
    """Standard deviation of the training targets, in their unit; > 0."""

    @property
    def evaluation(self) -> Evaluation:
        """r2, mae, rmse; there is nothing to calibrate."""
        return Evaluation(regression_metrics())

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep quantile bins in proportion."""
        return _by_quantile(_values(examples))

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """Mean and scale stay, so that the head means the same. Raises DataError as `bind`, but for a single value."""
        _values(examples)
        return self

    def targets(self, examples: Examples) -> Targets:
        """{"label": (examples,) float64} in the target's unit, and weights. Raises DataError as `bind` does."""
        return {TARGET: _values(examples), **examples.weights()}

    def head(self, backbone: FeatureSource) -> nn.Linear:
        """(batch, width) -> (batch, 1) in standard units; weights normal with deviation 0.01, bias 0."""
        head = nn.Linear(backbone.width, 1)
        nn.init.normal_(head.weight, std=START_SCALE)
        nn.init.zeros_(head.bias)
        return head

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"standard": (batch,)}, in standard units."""
        return {"standard": head(features.pooled).squeeze(-1)}

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"squared_error": scalar}, the mean over the batch in standard units of what is multiplied by the weights."""
        found = outputs["standard"]
        truth = (targets[TARGET] - self.mean) / self.scale
        if WEIGHT not in targets:
            return {"squared_error": nn.functional.mse_loss(found, truth.to(found.dtype))}
        errors = nn.functional.mse_loss(found, truth.to(found.dtype), reduction="none")
        return {"squared_error": (targets[WEIGHT].to(found.dtype) * errors).mean()}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Column "value" (batch,) float64, in the target's unit."""
        standard = self.forward(head, features, inputs)["standard"]
        return Prediction({"value": standard.detach().double().cpu().numpy() * self.scale + self.mean})

    def decoded(self, outputs: Tensors, calibration: Calibration) -> Tensors:
        """{"value": (batch,)}, in the target's unit"""
        return {"value": outputs["standard"] * self.scale + self.mean}

    @property
    def outputs(self) -> int:
        """One quantity."""
        return 1

    def from_scores(self, scores: np.ndarray, inputs: Targets) -> Prediction:
        """Take scores (examples, 1) as values in the target's unit."""
        return Prediction({"value": scores[:, 0]})

    def linear_model(self, targets: Targets, seed: int) -> LinearModel:
        """Return the mean in standard units. Nothing is drawn."""
        return LinearModel("normal", (targets[TARGET] - self.mean) / self.scale, targets.get(WEIGHT))


def _values(examples: Examples) -> np.ndarray:
    """The labels (examples,) float64. Raises DataError where one is not a finite number."""
    kind = label_kind(examples)
    labels = examples.target(TARGET)
    if kind in ("string", "truth"):
        raise DataError(
            f"{column_of(examples)}: {labels[0]!r} in {examples.named([0])} is not a number; regression needs"
            " numbers. For classes use the task 'classification'; numbers that a table takes for names are read with"
            " --set format.labels=numbers."
        )
    require_labels(examples)
    values = np.array(labels, dtype=np.float64)
    infinite = np.flatnonzero(~np.isfinite(values)).tolist()
    if infinite:
        raise DataError(f"{column_of(examples)}: infinite labels in {examples.named(infinite)}")
    large = np.flatnonzero(np.abs(values) > LARGEST).tolist()
    if large:
        raise DataError(
            f"{column_of(examples)}: labels beyond {LARGEST:g}, such as {values[large[0]]:g}, in "
            f"{examples.named(large)}. Put them right, or write all labels in another unit."
        )
    return values


def _require_difference(examples: Examples, values: np.ndarray) -> None:
    spread = float(np.ptp(values))
    if spread == 0:
        raise DataError(
            f"{column_of(examples)}: all {len(values)} labels are {values[0]:g}; there is nothing to predict"
        )
    if spread < SMALLEST:
        raise DataError(f"{column_of(examples)}: the labels differ by {spread:g} at most. Write them in another unit.")
    if spread < ROUNDING * float(np.abs(values).max()):
        raise DataError(
            f"{column_of(examples)}: the labels lie around {values[0]:g} and differ by {spread:g} at most, little "
            "more than rounding. Subtract what they have in common."
        )


def _by_quantile(values: np.ndarray) -> SplitPolicy:
    bins = max(1, min(MOST_STRATA, len(values) // SMALLEST_STRATUM))
    edges = np.quantile(values, np.arange(1, bins) / bins) if bins > 1 else np.empty(0)
    strata = np.searchsorted(edges, values, side="right").astype(np.int64)
    return SplitPolicy(strata, [_range(values[strata == k]) for k in range(int(strata.max()) + 1)])


def _range(values: np.ndarray) -> str:
    """The ends of a bin (examples,) in words."""
    if not len(values):
        return ""
    low, high = values.min(), values.max()
    return f"{low:.15g}" if low == high else f"{low:.15g} to {high:.15g}"
