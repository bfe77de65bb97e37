"""Domains in the report: source and target in the plane in which the model's predictions vary most."""

from __future__ import annotations

from markupsafe import Markup

from headstart.pipeline.adaptation.rows import DomainPoints
from headstart.present.report import svg

HEIGHT = 250.0
EDGE = 12.0


def domain_picture(points: DomainPoints) -> Markup:
    """Dots of the source and crosses of the target."""
    x = svg.Scale(-1.05, 1.05, EDGE, svg.WIDTH - EDGE)
    y = svg.Scale(-1.05, 1.05, HEIGHT - EDGE, EDGE)
    source = [svg.circle(x(a), y(b), 2.4, "mark faint") for a, b in points.source]
    arm = 2.6
    target = [
        svg.join(
            [
                svg.line(x(a) - arm, y(b) - arm, x(a) + arm, y(b) + arm, "cross"),
                svg.line(x(a) - arm, y(b) + arm, x(a) + arm, y(b) - arm, "cross"),
            ]
        )
        for a, b in points.target
    ]
    told = f"{len(points.source)} examples of the source as dots, {len(points.target)} of the target as crosses."
    return svg.drawing(points.title, told, HEIGHT, svg.group("series-1", *source), svg.group("series-2", *target))
