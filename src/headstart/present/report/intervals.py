"""Interval plots: a dot for a figure and a whisker for its 95 % interval, so that 'better' can be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from headstart.pipeline.record import FigureRow
from headstart.present.report import svg

ROW = 37
TOP = 6
SIDE = 8


class Whisker(NamedTuple):
    """One row of an interval plot."""

    name: str
    figure: FigureRow
    text: str
    """The figure in words."""
    series: str
    """CSS class that gives colour and mark."""


class Reference(NamedTuple):
    """A vertical line to hold the rows against."""

    value: float
    name: str


def interval_plot(
    title: str,
    rows: Sequence[Whisker],
    *,
    share: bool,
    signed: bool = False,
    better: str = "",
    reference: Reference | None = None,
) -> Markup:
    """Draw the rows over a common axis.

    Args:
        title: what is plotted.
        rows: from top to bottom; a figure that is not finite keeps its row, without a dot.
        share: the axis is in percent.
        signed: the figures are differences, and the axis shows their signs.
        better: which way is better, in words under the axis; empty where it goes without saying.
        reference: drawn as a line, its value always in view.
    """
    shown = [number for row in rows for number in (row.figure.value, row.figure.low, row.figure.high)]
    low, high = svg.span([*shown, *([reference.value] if reference else [])], share=share)
    scale = svg.Scale(low, high, SIDE, svg.WIDTH - SIDE)
    bottom = TOP + ROW * len(rows) + 6
    values = svg.ticks(low, high)
    parts = [_axis(scale, bottom, values, svg.tick_labels(values, share=share, signed=signed))]
    for index, row in enumerate(rows):
        top = TOP + ROW * index
        if reference:  # beside the whiskers only, so that it does not cross the words
            parts.append(svg.line(scale(reference.value), top + 18, scale(reference.value), top + 36, "reference"))
        parts.append(_row(row, scale, top))
    under = " · ".join(filter(None, [reference and f"line: {reference.name}", better]))
    if under:
        parts.append(svg.label(svg.WIDTH / 2, bottom + 32, under, "axis-label", anchor="middle"))
    description = "; ".join(f"{row.name}: {row.text}" for row in rows)
    return svg.drawing(title, description, bottom + (38 if under else 22), *parts)


def brief(figure: FigureRow) -> FigureRow:
    """A figure whose text fits a row: that it has no interval, where the tables say why."""
    return figure.model_copy(update={"reason": "no interval"}) if figure.reason else figure


def mark(x: float, y: float, series: str) -> Markup:
    """The dot of a series: a circle, a square or a diamond, so that colour is not needed to tell them apart."""
    if series == "series-2":
        return svg.rectangle(x - 4.5, y - 4.5, 9, 9, "mark")
    if series == "series-3":
        diamond = [(x, y - 6.2), (x + 6.2, y), (x, y + 6.2), (x - 6.2, y), (x, y - 6.2)]
        return svg.polyline(diamond, "mark")
    return svg.circle(x, y, 5, "mark")


def _axis(scale: svg.Scale, bottom: float, values: list[float], labels: list[str]) -> Markup:
    parts = []
    for value, text in zip(values, labels):
        half = svg.LETTER * len(text) / 2
        position = min(max(scale(value), half), svg.WIDTH - half)
        parts.append(svg.line(scale(value), TOP, scale(value), bottom, "grid"))
        parts.append(svg.label(position, bottom + 16, text, anchor="middle"))
    parts.append(svg.line(SIDE, bottom, svg.WIDTH - SIDE, bottom, "axis"))
    return svg.group("axes", *parts)


def _row(row: Whisker, scale: svg.Scale, top: float) -> Markup:
    y = top + 26
    room = int((svg.WIDTH - svg.LETTER * len(row.text)) / svg.LETTER) - 5
    parts = [
        svg.label(0, top + 13, svg.clip(row.name, max(room, 8)), "name"),
        svg.label(svg.WIDTH, top + 13, row.text, "value", anchor="end"),
    ]
    figure = row.figure
    if math.isfinite(figure.low) and math.isfinite(figure.high):
        low, high = scale(figure.low), scale(figure.high)
        parts.append(svg.line(low, y, high, y, "whisker"))
        parts += [svg.line(end, y - 4, end, y + 4, "whisker") for end in (low, high)]
    if math.isfinite(figure.value):
        parts.append(mark(scale(figure.value), y, row.series))
    return svg.group(row.series, *parts)
