"""The label curve of a fit: the metric over labels, as measured and as expected beyond those at hand."""

from __future__ import annotations

from markupsafe import Markup

from headstart.contracts.metric import SHARE
from headstart.pipeline.record import LabelCurveRow, RunRecord
from headstart.present.report import svg

HEIGHT = 214


def label_curve_chart(record: RunRecord) -> Markup | None:
    """Dots where probes were measured, the expected curve with its 90 % interval, and a line at the labels at hand."""
    curve = record.label_curve
    if curve is None or not curve.expected:
        return None
    metric = record.info(curve.metric)
    share, points = metric.unit == SHARE, curve.expected
    shown = [*curve.measured.values(), *(end for point in points for end in (point.low, point.high))]
    x = svg.Scale(0, points[-1].labels, 46, svg.WIDTH - 12)
    y = svg.Scale(*svg.span(shown, share=share), HEIGHT - 36, 24)
    ends = [(x(point.labels), y(point.high)) for point in points]
    ends += [(x(point.labels), y(point.low)) for point in reversed(points)]
    parts = [
        svg.axes(svg.Frame(x, y, f"labelled {curve.unit or 'examples'}", metric.title, y_share=share, whole_x=True)),
        svg.line(x(curve.labelled), y.start, x(curve.labelled), y.stop, "kept"),
        svg.area(ends, "band"),
        svg.polyline([(x(point.labels), y(point.value)) for point in points], "curve"),
        *(svg.circle(x(labels), y(value), 2.6, "dot") for labels, value in curve.measured.items()),
    ]
    return svg.drawing(f"{metric.title} over labels", _described(curve), HEIGHT, svg.group("series-2", *parts))


def _described(curve: LabelCurveRow) -> str:
    sizes = ", ".join(f"{labels:,}" for labels in curve.measured)
    return f"Probes measured on {sizes} {curve.unit or 'labels'}. {curve.sentence}"
