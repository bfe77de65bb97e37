"""Numbers as tables and reports show them: predicted against true values, where they err, the worst predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.panels import Mistake, Panel, Scatter, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart.tasks._label_kinds import TARGET, kind_of
from headstart.tasks.regression.task import BoundRegression

MOST_POINTS = 2000
"""Of the scatter; more are thinned out evenly over the examples."""

QUANTILES = 5
"""Bands of the true value in the table of errors."""


class RegressionPresentation:
    """Numbers in the target's unit, shown."""

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the labels as they stand in the data."""
        return examples.target(TARGET)

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the examples with each number."""
        return Counter(str(label) for label in labels)

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction", in the target's unit."""
        return {"prediction": prediction.columns["value"]}

    def misfit(self, prediction: Prediction, targets: Targets) -> np.ndarray:
        """Return |truth - prediction|."""
        return np.asarray(np.abs(targets[TARGET] - prediction.columns["value"]))

    def within(self, prediction: Prediction, radius: float) -> Mapping[str, np.ndarray]:
        """ "low" and "high", the ends of the interval."""
        return {"low": prediction.columns["value"] - radius, "high": prediction.columns["value"] + radius}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return predicted against true values, and errors by the size of the true value."""
        truth, predicted = targets[TARGET], prediction.columns["value"]
        shown = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), MOST_POINTS)).round().astype(int))
        scatter = Scatter(
            title="Predicted against true",
            note="" if len(shown) == len(truth) else f"{len(shown)} of {len(truth)} examples.",
            x_label="true",
            y_label="predicted",
            x=tuple(truth[shown].tolist()),
            y=tuple(predicted[shown].tolist()),
        )
        return scatter, _by_quantile(truth, predicted)

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return the predictions that are furthest off, the worst first."""
        truth, predicted = targets[TARGET], prediction.columns["value"]
        error = np.abs(predicted - truth)
        return tuple(
            Mistake(
                row=int(row),
                truth=f"{truth[row]:.4g}",
                predicted=f"{predicted[row]:.4g}",
                weight=float(error[row]),
                weight_text=f"off by {error[row]:.3g}",
            )
            for row in np.argsort(-error, kind="stable")[:most]
            if error[row] > 0
        )


def presentation(task: BoundRegression) -> RegressionPresentation:  # noqa: ARG001
    """Show numbers in the target's unit."""
    return RegressionPresentation()


def review(examples: Examples) -> Review:
    """Review labels that are numbers: the range of the known values."""
    known = [value for value in examples.target(TARGET) if kind_of(value) != "missing"]
    return Review(missing=len(examples) - len(known), spreads={examples.schema.targets[TARGET]: known})


def _by_quantile(truth: np.ndarray, predicted: np.ndarray) -> Table:
    bands = np.array_split(np.argsort(truth, kind="stable"), QUANTILES)
    error = predicted - truth
    return Table(
        title="Errors by true value",
        note="Mean error is predicted minus true: a trend down the rows means that extremes are drawn to the middle.",
        header=("from", "to", "mean error", "mean absolute error", "examples"),
        rows=tuple(
            (
                float(truth[band[0]]),
                float(truth[band[-1]]),
                float(error[band].mean()),
                float(np.abs(error[band]).mean()),
                len(band),
            )
            for band in bands
            if len(band)
        ),
    )
