"""The ways in which four numbers stand for a box, and boxes that turn with their picture."""

from __future__ import annotations

from typing import Literal

import numpy as np

BoxLayout = Literal["xyxy", "xywh", "cxcywh"]
"""Two corners; the left upper corner with width and height; or the centre with these."""

LAYOUTS: tuple[BoxLayout, ...] = ("xyxy", "xywh", "cxcywh")

SLACK = 1.0
"""Pixels that a box may leave its picture by rounding."""

MANY_BAD = 0.1
"""Share of boxes that no sound data set has outside their pictures."""


def edges_of(numbers: np.ndarray, layout: BoxLayout) -> np.ndarray:
    """Left, top, right and bottom (boxes, 4) of boxes (boxes, 4) in a layout."""
    first, second = numbers[:, :2], numbers[:, 2:]
    if layout == "xyxy":
        return numbers.copy()
    start = first if layout == "xywh" else first - second / 2
    return np.concatenate([start, start + second], axis=1)


def other_layout(numbers: np.ndarray, sizes: np.ndarray, layout: BoxLayout) -> BoxLayout | None:
    """The layout in which all boxes fit their pictures, where many do not in the one that was taken; else None.

    Args:
        numbers: (boxes, 4) finite, as they are written, in pixels.
        sizes: (boxes, 2) width and height of the picture of each.
        layout: the one that was taken.
    """
    if not len(numbers) or _bad(numbers, sizes, layout).mean() < MANY_BAD:
        return None
    return next((other for other in LAYOUTS if other != layout and not _bad(numbers, sizes, other).any()), None)


def fitting(numbers: np.ndarray, sizes: np.ndarray) -> list[BoxLayout]:
    """The layouts by corners in which boxes, (boxes, 4), as in `other_layout`, fit their pictures."""
    corners: tuple[BoxLayout, ...] = ("xyxy", "xywh")
    return [layout for layout in corners if len(numbers) and _bad(numbers, sizes, layout).mean() < MANY_BAD]


def _bad(numbers: np.ndarray, sizes: np.ndarray, layout: BoxLayout) -> np.ndarray:
    """(boxes,) bool: without area or beyond the picture."""
    edges = edges_of(numbers, layout)
    beyond = (edges[:, :2] < -SLACK).any(axis=1) | (edges[:, 2:] > sizes + SLACK).any(axis=1)
    return np.asarray(beyond | (edges[:, 2:] <= edges[:, :2]).any(axis=1))


def turned(edges: np.ndarray, orientation: int, width: int, height: int) -> np.ndarray:
    """Boxes (boxes, 4) over a picture as it is stored, over the picture that its EXIF orientation (1..8) turns."""
    x, y = edges[:, 0::2], edges[:, 1::2]  # (boxes, 2) each
    across = {1: x, 2: width - x, 3: width - x, 4: x, 5: y, 6: height - y, 7: height - y, 8: y}[orientation]
    down = {1: y, 2: y, 3: height - y, 4: height - y, 5: x, 6: x, 7: width - x, 8: width - x}[orientation]
    found = np.stack([across.min(axis=1), down.min(axis=1), across.max(axis=1), down.max(axis=1)], axis=1)
    return np.asarray(found, np.float64)
