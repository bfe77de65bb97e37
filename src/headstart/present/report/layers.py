"""The layer view as a chart: the metric of a probe at every stage, from input to end, with its interval."""

from __future__ import annotations

import math
from itertools import chain

from markupsafe import Markup

from headstart.contracts.metric import SHARE
from headstart.pipeline.layer_rows import Layers
from headstart.pipeline.numbers import figure_text
from headstart.pipeline.record import FigureRow
from headstart.present.report import svg

HEIGHT = 214


def plot(layers: Layers) -> Markup:
    """Stages from left to right; a line where knowledge ends, and at the right end several stages at once."""
    metric = layers.metric
    figures = [row.figure for row in layers.stages]
    places = len(figures) + (layers.multi is not None)
    shown = [*figures, *([layers.multi.figure] if layers.multi else [])]
    values = chain.from_iterable((figure.value, figure.low, figure.high) for figure in shown)
    x = svg.Scale(0.5, places + 0.5, 46, svg.WIDTH - 12)
    y = svg.Scale(*svg.span(list(values), share=metric.unit == SHARE), HEIGHT - 36, 24)
    frame = svg.Frame(x, y, "stage", metric.title, y_share=metric.unit == SHARE, whole_x=True)
    points = [(x(place), y(figure.value)) for place, figure in enumerate(figures, 1)]
    parts = [svg.axes(frame), svg.line(x(layers.ends + 1), y.start, x(layers.ends + 1), y.stop, "kept")]
    parts.append(svg.polyline(points, "curve validation"))
    parts += [_whisker(x(place), y, figure) for place, figure in enumerate(shown, 1)]
    named = [(row.name, row.figure) for row in layers.stages]
    named += [("Several at once", layers.multi.figure)] if layers.multi else []
    told = "; ".join(f"{name}: {figure_text(metric.unit, figure)}" for name, figure in named)
    return svg.drawing("Layer view", f"{told}. {layers.sentence}", HEIGHT, svg.group("series-1", *parts))


def _whisker(x: float, y: svg.Scale, figure: FigureRow) -> Markup:
    parts = []
    if math.isfinite(figure.low) and math.isfinite(figure.high):
        parts.append(svg.line(x, y(figure.low), x, y(figure.high), "whisker"))
    if math.isfinite(figure.value):
        parts.append(svg.circle(x, y(figure.value), 3, "mark"))
    return svg.join(parts)
