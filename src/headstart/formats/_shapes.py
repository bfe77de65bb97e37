"""COCO's shapes as class maps: polygons, and run lengths, plain or compressed.

Run lengths go down the columns, a run of pixels outside first. Compressed ones are written in characters from '0' on,
five bits in each, low bits first, a sixth bit where more follow; from the third run on as the difference to the last
but one (Lin et al., pycocotools).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from headstart.kernel.errors import DataError

FINER = 8
"""Times as many pixels along each axis as a picture has, where polygons are drawn."""


class Drawn(NamedTuple):
    """The inside of a shape, within its own bounds: a picture may hold a thousand small ones."""

    top: int
    left: int
    inside: np.ndarray
    """(rows, columns) bool."""

    def of(self, canvas: np.ndarray) -> np.ndarray:
        """The part of a canvas (height, width) that lies under it, to write on."""
        rows, columns = self.inside.shape
        return canvas[self.top : self.top + rows, self.left : self.left + columns]


def class_map(shapes: Sequence[tuple[int, Any]], height: int, width: int) -> np.ndarray:
    """(height, width) uint8 from (class, shape) pairs; where they overlap the smaller shape lies on top.

    Raises:
        DataError: a shape that is none.
    """
    found = [(number, drawn(shape, height, width)) for number, shape in shapes if shape]
    classes = np.zeros((height, width), np.uint8)
    for number, one in sorted(found, key=lambda pair: -int(pair[1].inside.sum())):
        one.of(classes)[one.inside] = number
    return classes


def drawn(shape: Any, height: int, width: int) -> Drawn:
    """The inside of polygons [[x, y, x, y, ...], ...] or of run lengths in a picture of that size. Raises DataError."""
    try:
        if isinstance(shape, dict):
            return _within_bounds(_runs(shape, height, width))
        return _filled([np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in shape], height, width)
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"{str(shape)[:80]} is no polygon and no run lengths: {error}") from error


def _within_bounds(inside: np.ndarray) -> Drawn:
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Drawn(0, 0, np.zeros((0, 0), bool))
    top, left = int(rows[0]), int(columns[0])
    return Drawn(top, left, inside[top : rows[-1] + 1, left : columns[-1] + 1].copy())


def _filled(polygons: Sequence[np.ndarray], height: int, width: int) -> Drawn:
    """The pixels whose centres lie within one of the polygons, each (points, 2) of x and y."""
    every = np.concatenate(polygons)
    left, top = np.maximum(np.floor(every.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(every.max(axis=0)), (width, height)).astype(int)
    inside = np.zeros((max(bottom - top, 0), max(right - left, 0)), bool)
    for points in polygons:
        _fill(inside, points - [left, top])
    return Drawn(int(top), int(left), inside)


def _fill(inside: np.ndarray, points: np.ndarray) -> None:
    """Add the pixels whose centres lie within a polygon of (x, y) points, drawn enlarged within its own bounds."""
    left, top = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(points.max(axis=0)), inside.shape[::-1]).astype(int)
    if right <= left or bottom <= top:
        return
    image = Image.new("1", ((right - left) * FINER, (bottom - top) * FINER))
    # Pillow has the centre of the first pixel at 0, COCO at 0.5
    corners = (points - [left, top]) * FINER - 0.5
    ImageDraw.Draw(image).polygon([(x, y) for x, y in corners.tolist()], fill=1)
    inside[top:bottom, left:right] |= np.array(image)[FINER // 2 :: FINER, FINER // 2 :: FINER]


def _runs(shape: dict[str, Any], height: int, width: int) -> np.ndarray:
    counts = shape["counts"]
    runs = counts if isinstance(counts, list) else _uncompressed(counts)
    if list(shape["size"]) != [height, width] or sum(runs) != height * width:
        raise ValueError(
            f"its size is {shape['size']}, its runs have {sum(runs)} pixels; the picture is {height}x{width}"
        )
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return inside.reshape(width, height).T


def _uncompressed(text: str | bytes) -> list[int]:
    codes = text.encode() if isinstance(text, str) else text
    runs: list[int] = []
    at = 0
    while at < len(codes):
        value, shift, more = 0, 0, True
        while more:
            bits = codes[at] - 48
            value |= (bits & 0x1F) << shift
            more, shift, at = bool(bits & 0x20), shift + 5, at + 1
            if not more and bits & 0x10:
                value |= -1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs
