"""What a report shows of a regressor: predicted against true values, where it errs, and its worst predictions."""

from __future__ import annotations

import numpy as np

from headstart.contracts.panels import Mistake, Panel, Scatter, Table

MOST_POINTS = 2000
"""Of the scatter; more are thinned out evenly over the examples."""

QUANTILES = 5
"""Bands of the true value in the table of errors."""


def regression_exhibits(truth: np.ndarray, predicted: np.ndarray) -> tuple[Panel, ...]:
    """A scatter and the errors by the size of the true value, from true and predicted values (examples,)."""
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


def largest_errors(truth: np.ndarray, predicted: np.ndarray, most: int) -> tuple[Mistake, ...]:
    """The predictions (examples,) that are furthest off, the worst first."""
    error = np.abs(predicted - truth)
    worst = np.argsort(-error, kind="stable")[:most]
    return tuple(
        Mistake(
            row=int(row),
            truth=f"{truth[row]:.4g}",
            predicted=f"{predicted[row]:.4g}",
            weight=float(error[row]),
            weight_text=f"off by {error[row]:.3g}",
        )
        for row in worst
        if error[row] > 0
    )


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
