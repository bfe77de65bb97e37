"""Panels of a task as HTML: reliability and scatter as charts, a matrix as a shaded table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import nlargest
from itertools import zip_longest
from operator import itemgetter

from markupsafe import Markup

from headstart.contracts.panels import Bin, Matrix, Reliability, Scatter, Table
from headstart.pipeline.numbers import column_texts
from headstart.present.report import svg

MOST_NAMES = 40
"""A matrix of more names than this is shown as a list of its largest confusions."""

MOST_POINTS = 4000
"""Of more points than this every n-th is drawn."""


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix."""

    count: int
    share: float
    """Of the row, in [0, 1]."""
    shade: float
    """How strongly the cell is filled, in [0, 1]; the root of the share, so that rare confusions are seen."""
    right: bool


@dataclass(frozen=True)
class Confusion:
    """A kind of mistake and how often it was made."""

    truth: str
    predicted: str
    count: int
    share: float
    """Of the examples of this true class, in [0, 1]."""


def matrix_cells(matrix: Matrix) -> list[tuple[str, int, list[Cell]]]:
    """Per true name: its name, its number of examples and its cells."""
    rows = []
    for index, (name, counts) in enumerate(zip(matrix.names, matrix.counts)):
        total = sum(counts)
        shares = [count / total if total else 0.0 for count in counts]
        cells = [Cell(n, s, math.sqrt(s), index == column) for column, (n, s) in enumerate(zip(counts, shares))]
        rows.append((name, total, cells))
    return rows


def confusions(matrix: Matrix, most: int) -> list[Confusion]:
    """The most frequent mistakes, most frequent first."""
    mistakes = ((n, i, j) for i, row in enumerate(matrix.counts) for j, n in enumerate(row) if i != j and n)
    found = nlargest(most, mistakes, key=itemgetter(0))
    return [Confusion(matrix.names[i], matrix.names[j], n, n / sum(matrix.counts[i])) for n, i, j in found]


def table_rows(table: Table, most: int) -> list[list[tuple[str, bool]]]:
    """Per row its cells: the text, and whether it is set as a number."""
    columns = [
        list(zip(column_texts(unit, values), (value is None or not isinstance(value, str) for value in values)))
        for unit, values in zip_longest(table.units[: len(table.header)], zip(*table.rows[:most]), fillvalue="")
    ]
    return [list(row) for row in zip(*columns)]


def reliability_chart(panel: Reliability) -> Markup:
    """Confidence against accuracy; a dot grows with its number of examples, shown as bars below."""
    bins = sorted((b for b in panel.bins if b.n), key=lambda b: b.confidence)
    x = svg.Scale(0, 1, 46, svg.WIDTH - 12)
    y = svg.Scale(0, 1, 244, 24)
    parts = [
        svg.axes(svg.Frame(x, y, "confidence", "share of right answers", x_share=True, y_share=True)),
        svg.line(x(0), y(0), x(1), y(1), "reference"),
        svg.label(x(0.03), y(0.93), "dashed: confidence = accuracy", "axis-label"),
    ]
    most = max((b.n for b in bins), default=1)
    for b in bins:
        parts.append(svg.line(x(b.confidence), y(b.confidence), x(b.confidence), y(b.accuracy), "gap"))
        parts.append(svg.circle(x(b.confidence), y(b.accuracy), 2.5 + 6 * math.sqrt(b.n / most), "mark"))
    parts.append(_histogram(bins, x, most))
    description = "; ".join(f"confidence {b.confidence:.0%}: {b.accuracy:.0%} right, {b.n} examples" for b in bins)
    return svg.drawing(panel.title, description, 350, svg.group("series-1", *parts))


def _histogram(bins: list[Bin], x: svg.Scale, most: int) -> Markup:
    """The number of examples per bin, under the diagram and on its axis; a count is written where there is room."""
    base, height = 346, 36
    parts = [svg.label(0, base - height - 18, "examples", "axis-label"), svg.line(x.start, base, x.stop, base, "axis")]
    taken = -math.inf
    for b in bins:
        tall = max(1.0, height * b.n / most)
        parts.append(svg.rectangle(x(b.confidence) - 5, base - tall, 10, tall, "count"))
        text = f"{b.n:,}"
        half = svg.LETTER * len(text) / 2
        middle = min(x(b.confidence), svg.WIDTH - half)
        if middle - half > taken:
            parts.append(svg.label(middle, base - tall - 4, text, anchor="middle"))
            taken = middle + half + 2
    return svg.group("axes", *parts)


def scatter_chart(panel: Scatter) -> Markup:
    """The points; where both axes speak of the same range they share it, and the line y = x is drawn."""
    points = [(x, y) for x, y in zip(panel.x, panel.y) if math.isfinite(x) and math.isfinite(y)]
    x_range = svg.span([x for x, _ in points])
    y_range = svg.span([y for _, y in points])
    alike = _overlap(x_range, y_range)
    if alike:
        x_range = y_range = (min(x_range[0], y_range[0]), max(x_range[1], y_range[1]))
    x, y = svg.Scale(*x_range, 52, svg.WIDTH - 12), svg.Scale(*y_range, 290, 24)
    parts = [svg.axes(svg.Frame(x, y, panel.x_label, panel.y_label))]
    if alike:
        parts.append(svg.line(x(x_range[0]), y(x_range[0]), x(x_range[1]), y(x_range[1]), "reference"))
    every = math.ceil(len(points) / MOST_POINTS) or 1
    parts.append(svg.dots([(x(a), y(b)) for a, b in points[::every]], "points"))
    description = f"{len(points):,} points: {panel.x_label} across, {panel.y_label} up."
    return svg.drawing(panel.title, description, 328, svg.group("series-1", *parts))


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    common = min(one[1], other[1]) - max(one[0], other[0])
    return common > 0.4 * max(one[1] - one[0], other[1] - other[0])
