"""Learning curves: loss and metric per epoch of an arm that was trained by steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from headstart.contracts.figures import MetricInfo
from headstart.contracts.metric import SHARE
from headstart.pipeline.numbers import value_text
from headstart.pipeline.record import Arm
from headstart.present.report import svg

HEIGHT = 214
MOST_DOTS = 30
"""With more epochs than this the lines carry no dots."""


class Curve(NamedTuple):
    """One line of a chart."""

    name: str
    unit: str
    """As in `MetricInfo.unit`."""
    values: list[float]
    css: str


def loss_chart(arm: Arm, series: str) -> Markup:
    """Training and validation loss."""
    curves = [
        Curve("training", "", [epoch.train_loss for epoch in arm.history], "training"),
        Curve("validation", "", [epoch.val_loss for epoch in arm.history], "validation"),
    ]
    shown = [value for curve in curves for value in curve.values]
    return _of_arm(f"Loss of {arm.title}", "Loss", arm, curves, svg.span(shown), series)


def metric_chart(arm: Arm, metric: MetricInfo, values_of_all: Sequence[float], series: str) -> Markup:
    """The primary metric on validation, on an axis that fits the values of all arms, so that arms can be compared."""
    values = [epoch.val_metric for epoch in arm.history]
    curve = Curve("validation", metric.unit, values, "validation")
    y_range = svg.span(values_of_all, share=metric.unit == SHARE)
    return _of_arm(f"{metric.title} of {arm.title}", metric.title, arm, [curve], y_range, series)


def _of_arm(
    title: str, y_label: str, arm: Arm, curves: list[Curve], y_range: tuple[float, float], series: str
) -> Markup:
    best = arm.chosen.get("best_epoch")
    kept = float(best) if isinstance(best, int | float) else None
    return chart(title, y_label, [epoch.epoch for epoch in arm.history], curves, y_range, series, kept)


def chart(
    title: str,
    y_label: str,
    epochs: list[int],
    curves: list[Curve],
    y_range: tuple[float, float],
    series: str,
    kept: float | None = None,
) -> Markup:
    """Curves over epochs, with a mark at the epoch that was kept."""
    first, last = min(epochs), max(epochs)
    x_range = (first, last) if last > first else (first - 1, last + 1)
    x = svg.Scale(*x_range, 46, svg.WIDTH - 12)
    y = svg.Scale(*y_range, HEIGHT - 36, 24)
    share = curves[0].unit == SHARE
    parts = [svg.axes(svg.Frame(x, y, "epoch", y_label, y_share=share, whole_x=True))]
    if kept is not None and first <= kept <= last:
        parts.append(svg.line(x(kept), y.start, x(kept), y.stop, "kept"))
    for curve in curves:
        points = [(x(epoch), y(value)) for epoch, value in zip(epochs, curve.values)]
        parts.append(svg.polyline(points, f"curve {curve.css}"))
        if len(points) <= MOST_DOTS:
            parts += [svg.circle(*point, 2.2, f"dot {curve.css}") for point in points if math.isfinite(point[1])]
    description = " ".join(_sentence(curve, epochs) for curve in curves)
    return svg.drawing(title, description, HEIGHT, svg.group(series, *parts))


def _sentence(curve: Curve, epochs: list[int]) -> str:
    start, end = (value_text(curve.unit, value) for value in (curve.values[0], curve.values[-1]))
    return f"{curve.name.capitalize()}: {start} at epoch {epochs[0]}, {end} at epoch {epochs[-1]}."
