"""Panels of a report on boxes: figures of each class and size, the precision at each recall, kinds of errors."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Picture, Table
from headstart.media.masks import COLOURS
from headstart.tasks.detection.boxes import CROWD, FRAMED
from headstart.tasks.detection.errors import BACKGROUND, BOTH, CLASS_WRONG, DOUBLE, PLACE, RIGHT, Told, tally
from headstart.tasks.detection.matching import RECALLS, SIZES, Matches
from headstart.tasks.detection.metrics import Judged
from headstart.tasks.detection.view import CELLS

MOST_CURVES = 11
"""Classes of which the precision is drawn: each has a colour."""

SIDE, MARGIN = 300, 40
"""Of the drawing, in pixels."""

WHY = {
    CLASS_WRONG: "lies on a box of another class",
    PLACE: "overlaps a box of its class by an IoU of less than .5",
    BOTH: "overlaps a box of another class by less than .5",
    DOUBLE: "lies on a box that another prediction has found",
    BACKGROUND: "lies on nothing",
}


def class_panel(judged: Judged, classes: Sequence[str], limit: float) -> Table:
    """AP of each class, and how many of its boxes are found at the score from which boxes are shown."""
    rows = []
    for k, name in enumerate(classes):
        matches, of_class = judged.matches("all", k), judged.reference[:, k, 0]
        likely = matches.scores >= limit
        right, shown = int(matches.right[0][likely].sum()), int((matches.right[0] | matches.wrong[0])[likely].sum())
        total = int(matches.boxes.sum())
        figures = [_number(value) for value in (of_class.mean(), of_class[0], of_class[5])]
        rows.append((name, *figures, total, right / total if total else None, right / shown if shown else None))
    return Table(
        title="Classes",
        note=f"Found and right at a score of {limit:.2f} or more, from which on boxes are shown, and an IoU of .5.",
        header=("class", "AP", "AP50", "AP75", "boxes", "found", "right of those shown"),
        units=("", "", "", "", "", SHARE, SHARE),
        rows=tuple(rows),
    )


def size_panel(judged: Judged, strides: Sequence[int]) -> Table:
    """AP by size in the pictures, and how the boxes that are seen relate to the finest stride."""
    truths = np.concatenate([*judged.truths])
    truths = truths[truths[:, CROWD] == 0]
    shorter = (truths[:, FRAMED][:, 2:] - truths[:, FRAMED][:, :2]).min(axis=1)
    rows = []
    for number, size in enumerate(SIZES):
        of_size = judged.reference[:, :, number]
        value = None if np.isnan(of_size).all() else float(np.nanmean(of_size))
        inside = sum((judged.matches(size, k).boxes for k in range(judged.classes)), np.zeros(len(judged.truths)))
        rows.append((size, value, int(inside.sum())))
    small = float((shorter < CELLS * strides[0]).mean()) if len(shorter) else 0.0
    return Table(
        title="Sizes",
        note=f"Small: up to 32 x 32 pixels of the picture; large: from 96 x 96 on. {100 * small:.0f} % of the boxes, as"
        f" the model sees them, are narrower than {CELLS:g} cells of its finest map, of stride {strides[0]}.",
        header=("boxes", "AP", "number"),
        rows=tuple(rows),
    )


def error_panel(told: list[Told], limit: float) -> Table:
    """The kinds of errors; all predictions shown and all true boxes add up."""
    counts = tally(told)
    kinds = [(f"wrong: {kind}", why, counts[kind]) for kind, why in WHY.items()]
    return Table(
        title="Errors",
        note=f"Of the boxes with a score of {limit:.2f} or more, as TIDE tells them apart (Bolya et al. 2020), and of "
        "the true boxes; both add up to all there are.",
        header=("kind", "meaning", "number"),
        rows=(
            ("right", "an IoU of .5 or more with a box of its class", counts[RIGHT]),
            *kinds,
            ("all predictions", "", sum(counts[kind] for kind in (RIGHT, *WHY))),
            ("found", "", counts["found"]),
            ("nearly found", "only by a box of the wrong class or in the wrong place", counts["nearly"]),
            ("missed", "by all", counts["missed"]),
            ("all true boxes", "", counts["found"] + counts["nearly"] + counts["missed"]),
        ),
    )


def curve_panel(judged: Judged, classes: Sequence[str]) -> Picture:
    """The precision at each recall of each class, at an IoU of .5."""
    lines: list[str] = []
    words: list[str] = []
    for k, name in list(enumerate(classes))[:MOST_CURVES]:
        precision = _curve(judged.matches("all", k))
        if precision is None:
            continue
        colour = "#" + bytes(COLOURS[k + 1]).hex()
        points = " ".join(f"{_x(r):.1f},{_y(p):.1f}" for r, p in zip(RECALLS, precision))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines.append(
            f'<text x="{_x(0.03):.0f}" y="{_y(0.05) - 14 * len(words):.0f}" fill="{colour}">{escape(name)}</text>'
        )
        words.append(f"{name} {precision.mean():.2f}")
    axes = f'<path d="M{MARGIN},10V{SIDE - MARGIN}H{SIDE - 10}" fill="none" stroke="#888"/>'
    ticks = "".join(
        f'<text x="{_x(v):.0f}" y="{SIDE - 24}" text-anchor="middle">{v:g}</text>'
        f'<text x="{MARGIN - 5}" y="{_y(v) + 4:.0f}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.5, 1)
    )
    names = (
        f'<text x="{SIDE / 2}" y="{SIDE - 6}" text-anchor="middle">recall</text>'
        f'<text x="12" y="{SIDE / 2}" text-anchor="middle" transform="rotate(-90 12 {SIDE / 2})">precision</text>'
    )
    style = 'font-family="sans-serif" font-size="12" fill="#666"'
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}" {style}>'
    )
    return Picture.of(
        "Precision and recall",
        f"{drawing}{axes}{ticks}{names}{''.join(lines)}</svg>",
        f"Precision at each recall at an IoU of .5; mean: {', '.join(words) or 'nothing to draw'}",
        "At an IoU of .5; each precision is the greatest at this or a higher recall, whose mean is AP50.",
    )


def _curve(matches: Matches) -> np.ndarray | None:
    """The precision at `RECALLS`; None where there is no true box."""
    total = matches.boxes.sum()
    if not total:
        return None
    right, wrong = np.cumsum(matches.right[0]), np.cumsum(matches.wrong[0])
    envelope = np.maximum.accumulate((right / np.maximum(right + wrong, 1))[::-1])[::-1]
    return np.append(envelope, 0.0)[np.searchsorted(right / total, RECALLS, side="left")]


def _x(value: float) -> float:
    return MARGIN + value * (SIDE - 10 - MARGIN)


def _y(value: float) -> float:
    return SIDE - MARGIN - value * (SIDE - 10 - MARGIN)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
