"""The page of a ranking of pretrained models: the figure of each with its interval against the time of an example."""

from __future__ import annotations

import math
from pathlib import Path

from markupsafe import Markup

from headstart.contracts.metric import SHARE
from headstart.pipeline.selection.record import BackboneRow, Selection
from headstart.present.report import svg

MOST_DRAWN = 20


def short(reference: str) -> str:
    """Return the last part of a path, and any other name as it is."""
    return Path(reference).name if Path(reference).exists() else reference


def chance(row: BackboneRow, found: Selection) -> str:
    """Return the probability that it is the best, or after how many examples it was left out."""
    return f"{row.best:.0%}" if row.examples == found.examples else f"out at {row.examples:,}"


def giga_text(operations: float) -> str:
    """Return operations in units of 1e9; empty where they are not known."""
    return f"{operations / 1e9:.3g}" if operations else ""


def plot(found: Selection) -> Markup:
    """Draw each model by its number in the table; those whose time is not known are left out."""
    rows = [(number, row) for number, row in enumerate(found.backbones[:MOST_DRAWN], 1) if row.milliseconds > 0]
    metric = found.info(found.primary_metric)
    shown = [end for _, row in rows for end in (row.figure.value, row.figure.low, row.figure.high)]
    times = [row.milliseconds for _, row in rows]
    x = svg.Scale(*svg.span([0.0, *times]), 52, svg.WIDTH - 12)
    y = svg.Scale(*svg.span(shown, share=metric.unit == SHARE), 250, 24)
    frame = svg.Frame(x, y, "milliseconds per example", metric.title, y_share=metric.unit == SHARE)
    parts = [svg.axes(frame)]
    for number, row in rows:
        across, figure = x(row.milliseconds), row.figure
        marks = [svg.circle(across, y(figure.value), 5, "mark")]
        if math.isfinite(figure.low) and math.isfinite(figure.high):
            marks.append(svg.line(across, y(figure.low), across, y(figure.high), "whisker"))
        marks.append(svg.label(across + 8, y(figure.value) + 4, str(number), "name"))
        parts.append(svg.group("series-1" if number == 1 else "series-4", *marks))
    described = "; ".join(f"{number}: {short(row.reference)}" for number, row in rows)
    return svg.drawing(f"{metric.title} against time", described, 288, *parts)
