"""The pieces of the charts: inline SVG whose every text is escaped and whose colours come from the page's style.

All charts are `WIDTH` units wide, about the width of a phone, so that their letters keep a readable size on any screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

WIDTH = 340
"""Units across a chart; at its usual size on screen a unit is about a pixel."""

LETTER = 6.0
"""Mean width of a letter in a chart, in units, for deciding what fits."""


LARGEST, SMALLEST = 1e300, 1e-300
"""Values of an axis are cut to the one; its range is at least as wide as the other."""

NARROWEST = 1e-5
"""An axis reaches at least so far beyond its values, as a share of their size."""


class Scale(NamedTuple):
    """Maps values in [low, high] to positions from `start` to `stop` along an axis."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        value = _cut(value)
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


class Frame(NamedTuple):
    """The field between two axes, with labels."""

    x: Scale
    y: Scale
    x_label: str
    y_label: str
    x_share: bool = False
    y_share: bool = False
    whole_x: bool = False
    """Ticks of x at whole numbers only."""


def span(values: Sequence[float], *, share: bool = False) -> tuple[float, float]:
    """The range that shows all finite values with a little room; shares stay within [0, 1].

    It is never so narrow, beside its values or at all, that its ticks could not be told apart in floating point.
    """
    finite = [_cut(value) for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    size = max(abs(low), abs(high))
    pad = max(0.06 * (high - low), NARROWEST * size, SMALLEST) if high > low else max(0.05 * size, SMALLEST)
    pad = pad if size else 0.05
    inside = share and low >= 0 and high <= 1
    low, high = low - pad, high + pad
    return (max(low, 0.0), min(high, 1.0)) if inside else (low, high)


def _cut(value: float) -> float:
    return min(max(value, -LARGEST), LARGEST) if math.isfinite(value) else value


def ticks(low: float, high: float, about: int = 4, *, whole: bool = False) -> list[float]:
    """Round numbers within [low, high], about as many as asked for."""
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = min((power * nice for nice in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / rough)))
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_labels(values: Sequence[float], *, share: bool = False, signed: bool = False) -> list[str]:
    """The ticks in words, all with the same number of decimals; signed ones are differences and carry no % mark."""
    factor = 100 if share else 1
    step = factor * (values[1] - values[0]) if len(values) > 1 else factor * abs(values[0] if values else 1) or 1
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if decimals > 6 or step >= 1e6:
        digits = max(1, math.ceil(math.log10(factor * max(map(abs, values)) / step)))
        return [f"{factor * value:.{digits}e}" for value in values]
    labels = [f"{factor * value + 0.0:{'+' if signed and value else ''},.{decimals}f}" for value in values]
    return [label.replace("-", "−") + (" %" if share and not signed else "") for label in labels]


def clip(text: str, most: int) -> str:
    """At most `most` letters, the middle left out: the ends of a name tell more than its middle."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def drawing(title: str, description: str, height: float, *parts: Markup) -> Markup:
    """A whole chart with its text alternative."""
    return Markup(
        '<svg class="chart" role="img" viewBox="0 0 {} {:.0f}"><title>{}</title><desc>{}</desc>{}</svg>'
    ).format(WIDTH, height, title, description, join(parts))


def join(parts: Sequence[Markup]) -> Markup:
    """The parts one after the other."""
    return Markup("").join(parts)


def group(css: str, *parts: Markup) -> Markup:
    """Parts that share a style."""
    return Markup('<g class="{}">{}</g>').format(css, join(parts))


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    """A straight line."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(css, x1, y1, x2, y2)


def rectangle(x: float, y: float, width: float, height: float, css: str) -> Markup:
    """A filled rectangle."""
    shape = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    return shape.format(css, x, y, width, height)


def circle(x: float, y: float, radius: float, css: str) -> Markup:
    """A filled circle."""
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(css, x, y, radius)


def label(x: float, y: float, text: str, css: str = "", *, anchor: str = "start") -> Markup:
    """Text whose start, middle or end is at x."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(css, x, y, anchor, text)


def polyline(points: Sequence[tuple[float, float]], css: str) -> Markup:
    """A line through the points, broken where one is not finite."""
    commands, pen = [], "M"
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            pen = "M"
            continue
        commands.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return Markup('<path class="{}" d="{}"/>').format(css, " ".join(commands))


def area(corners: Sequence[tuple[float, float]], css: str) -> Markup:
    """A filled shape."""
    return Markup('<path class="{}" d="M{}Z"/>').format(css, "L".join(f"{x:.1f} {y:.1f}" for x, y in corners))


def dots(points: Sequence[tuple[float, float]], css: str) -> Markup:
    """Many dots in one element: strokes of no length with round ends."""
    return Markup('<path class="{}" d="{}"/>').format(css, "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points))


def axes(frame: Frame) -> Markup:
    """Grid lines, tick labels and axis labels of a frame."""
    x, y = frame.x, frame.y
    parts = []
    values = ticks(y.low, y.high)
    for value, text in zip(values, tick_labels(values, share=frame.y_share)):
        parts += [
            line(x.start, y(value), x.stop, y(value), "grid"),
            label(x.start - 5, y(value) + 3.5, text, anchor="end"),
        ]
    values = ticks(x.low, x.high, 5, whole=frame.whole_x)
    for value, text in zip(values, tick_labels(values, share=frame.x_share)):
        parts += [
            line(x(value), y.start, x(value), y.start + 4, "axis"),
            label(x(value), y.start + 16, text, anchor="middle"),
        ]
    parts.append(line(x.start, y.start, x.stop, y.start, "axis"))
    parts.append(label((x.start + x.stop) / 2, y.start + 32, clip(frame.x_label, 44), "axis-label", anchor="middle"))
    parts.append(label(0, 11, clip(frame.y_label, 52), "axis-label"))
    return group("axes", *parts)
