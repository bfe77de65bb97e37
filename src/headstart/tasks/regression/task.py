"""Regression: one number per example, from pooled features through a linear head.

The head predicts the target in standard units, z = (y - mean) / scale, so that learning rates mean the same whatever
the unit; the loss is the mean of (head - z)^2; decoding goes back to the target's unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.carriers import Batch, Features, MapShape, Prediction
from headstart.contracts.examples import Examples
from headstart.contracts.metric import Metric
from headstart.contracts.panels import Mistake, Panel
from headstart.contracts.targets import TargetKinds, Values
from headstart.contracts.task import PlainTask, Targets
from headstart.kernel.errors import DataError
from headstart.tasks._label_kinds import (
    TARGET,
    class_reason,
    column_of,
    kind_of,
    label_kind,
    origins_of,
    require_labels,
)
from headstart.tasks._label_sets import form_of
from headstart.tasks._learnt_state import require_calibration, require_within
from headstart.tasks.regression.metrics import regression_metrics
from headstart.tasks.regression.panels import largest_errors, regression_exhibits
from headstart.tasks.regression.ridge import solve_ridge

START_SCALE = 0.01
"""Standard deviation of a fresh head's weights: small, so that training starts from the mean."""

LARGEST, SMALLEST = 1e100, 1e-100
"""Of what targets may be, and of how much they may differ: beyond, squares and sums of squares are no numbers."""

ROUNDING = 1e-12
"""Of their size, by which targets must differ to be told from rounding."""

MOST_STRATA = 10
SMALLEST_STRATUM = 10
"""Examples per quantile bin at least, so that every part of a split can get some."""


class Regression(PlainTask):
    """One number per example."""

    target_kinds: ClassVar[TargetKinds] = {TARGET: Values()}

    mean: float = 0.0
    """Mean of the training targets, in their unit; learnt from the labels."""
    scale: float = 1.0
    """Standard deviation of the training targets, in their unit; learnt from the labels; > 0."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Why the labels are quantities: decimal numbers, or whole ones of many distinct values; else None.

        Raises:
            DataError: labels of different kinds are mixed, or there is none.
        """
        if TARGET not in examples.schema.targets or form_of(examples) is not None:
            return None
        if class_reason(examples) is not None:
            return None
        distinct = len({value for value in examples.target(TARGET) if kind_of(value) != "missing"})
        return f"the labels are numbers with {distinct} different values"

    def bind(self, examples: Examples) -> Self:
        """Learn mean and scale.

        Raises:
            DataError: missing labels, text or true/false, infinite values, values too large or too alike to be
                learnt from in their unit, or the same value everywhere.
        """
        values = self.targets(examples)[TARGET]
        self._require_difference(examples, values)
        return self.model_copy(update={"mean": float(values.mean()), "scale": float(values.std())})

    @staticmethod
    def _require_difference(examples: Examples, values: np.ndarray) -> None:
        spread = float(np.ptp(values))
        if spread == 0:
            raise DataError(
                f"{column_of(examples)}: all {len(values)} labels are {values[0]:g}; there is nothing to predict"
            )
        if spread < SMALLEST:
            raise DataError(
                f"{column_of(examples)}: the labels differ by {spread:g} at most. Write them in another unit."
            )
        if spread < ROUNDING * float(np.abs(values).max()):
            raise DataError(
                f"{column_of(examples)}: the labels lie around {values[0]:g} and differ by {spread:g} at most, little "
                "more than rounding. Subtract what they have in common."
            )

    def continued(self, examples: Examples) -> Self:
        """Mean and scale stay, so that the head means the same. Raises DataError as `bind`, but for a single value."""
        self.targets(examples)
        return self

    def require_learnt(self, calibration: Mapping[str, float]) -> None:
        """A finite mean and scale, the scale above 0, and no calibration. Raises SettingsError."""
        require_within("task.mean", self.mean, -LARGEST, LARGEST)
        require_within("task.scale", self.scale, SMALLEST, LARGEST)
        require_calibration(calibration, ())

    def targets(self, examples: Examples) -> Targets:
        """{"label": (examples,) float64} in the target's unit. Raises DataError as `bind` does."""
        kind = label_kind(examples)
        labels = examples.target(TARGET)
        if kind in ("string", "truth"):
            raise DataError(
                f"{column_of(examples)}: {labels[0]!r} in {origins_of(examples, [0])} is no number; regression needs"
                " numbers. For classes use the task 'classification'."
            )
        require_labels(examples)
        values = np.array(labels, dtype=np.float64)
        infinite = np.flatnonzero(~np.isfinite(values)).tolist()
        if infinite:
            raise DataError(f"{column_of(examples)}: infinite labels in {origins_of(examples, infinite)}")
        large = np.flatnonzero(np.abs(values) > LARGEST).tolist()
        if large:
            raise DataError(
                f"{column_of(examples)}: labels beyond {LARGEST:g}, such as {values[large[0]]:g}, in "
                f"{origins_of(examples, large)}. Put them right, or write all labels in another unit."
            )
        return {TARGET: values}

    def strata(self, targets: Targets) -> np.ndarray:
        """Quantile bins of equal size, at most 10."""
        values = targets[TARGET]
        bins = max(1, min(MOST_STRATA, len(values) // SMALLEST_STRATUM))
        edges = np.quantile(values, np.arange(1, bins) / bins) if bins > 1 else np.empty(0)
        return np.searchsorted(edges, values, side="right").astype(np.int64)

    def head(self, width: int, maps: tuple[MapShape, ...] = ()) -> nn.Linear:  # noqa: ARG002
        """(batch, width) -> (batch, 1) in standard units; weights normal with deviation 0.01, bias 0."""
        head = nn.Linear(width, 1)
        nn.init.normal_(head.weight, std=START_SCALE)
        nn.init.zeros_(head.bias)
        return head

    def apply(self, head: nn.Module, features: Features, batch: Batch) -> Mapping[str, Tensor]:  # noqa: ARG002
        """{"standard": (batch,)}, in standard units."""
        return {"standard": head(features.pooled).squeeze(-1)}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """{"squared_error": scalar}, the mean over the batch in standard units."""
        truth = (batch.targets[TARGET] - self.mean) / self.scale
        return {"squared_error": nn.functional.mse_loss(outputs["standard"], truth.to(outputs["standard"].dtype))}

    def decode(self, outputs: Mapping[str, Tensor]) -> Prediction:
        """Column "value" (batch,) float64, in the target's unit."""
        return Prediction({"value": outputs["standard"].detach().double().cpu().numpy() * self.scale + self.mean})

    def calibrate(self, prediction: Prediction, targets: Targets) -> Mapping[str, float]:  # noqa: ARG002
        """Nothing to fit."""
        return {}

    def finish(self, prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:  # noqa: ARG002
        """The prediction as it is."""
        return prediction

    def metrics(self) -> tuple[Metric, ...]:
        """r2, mae, rmse."""
        return regression_metrics()

    def solve(
        self,
        features: np.ndarray,
        targets: Targets,
        groups: np.ndarray | None,
        seed: int,  # noqa: ARG002
    ) -> tuple[nn.Linear, dict[str, float]]:
        """Ridge regression; see `tasks/regression/ridge.py`. Nothing is drawn.

        Returns:
            The head, and {"alpha", "cv_score", "folds"}: penalty on standardised features, minus the mean squared error
            of held-out examples in standard units, and folds (0: leave one out).
        """
        solution = solve_ridge(features, (targets[TARGET] - self.mean) / self.scale, groups)
        head = self.head(features.shape[1])
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(solution.weight))
            head.bias.copy_(torch.from_numpy(solution.bias))
        return head, {"alpha": solution.alpha, "cv_score": solution.cv_score, "folds": solution.folds}

    def rows(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction", in the target's unit."""
        return {"prediction": prediction.columns["value"]}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Predicted against true values, and errors by the size of the true value."""
        return regression_exhibits(targets[TARGET], prediction.columns["value"])

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """The predictions that are furthest off, the worst first."""
        return largest_errors(targets[TARGET], prediction.columns["value"], most)
