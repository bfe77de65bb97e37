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


FURTHEST = 1e8
"""Pixels that a corner may lie away: enlarged it is a 32-bit number still."""

MOST_FINE = 1 << 26
"""Enlarged pixels that are drawn at once, a byte each."""

LONGEST_RUN = 60
"""Bits of a run length."""


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


NOTHING = Drawn(0, 0, np.zeros((0, 0), bool))


def laid_on(found: Sequence[tuple[int, Drawn]], classes: np.ndarray) -> np.ndarray:
    """Write (class, inside) pairs on classes (height, width) uint8; where they overlap the smaller lies on top."""
    for number, one in sorted(found, key=lambda pair: -int(pair[1].inside.sum())):
        one.of(classes)[one.inside] = number
    return classes


def drawn(shape: Any, height: int, width: int) -> Drawn:
    """The inside of polygons [[x, y, x, y, ...], ...] or of run lengths in a picture of that size. Raises DataError."""
    try:
        if isinstance(shape, dict) and shape:
            return _within_bounds(_runs(shape, height, width))
        rings = [_corners(polygon) for polygon in shape or ()]
        return _filled([ring for ring in rings if len(ring) > 2], height, width)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise DataError(f"{str(shape)[:80]} is neither a polygon nor run lengths: {error}") from error


def boxed(box: Any, height: int, width: int) -> Drawn:
    """The pixels that a box [left, top, width, height] touches; all of the picture without one. Raises DataError."""
    if not box:
        return Drawn(0, 0, np.ones((height, width), bool))
    try:
        (left, top), size = _corners(box)
        if (size < 0).any():
            raise ValueError("its width and height are negative")
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{str(box)[:80]} is not a box of left, top, width and height: {error}") from error
    first = np.clip(np.floor([top, left]), 0, [height, width]).astype(int)
    stop = np.clip(np.maximum(np.ceil([top + size[1], left + size[0]]), first + 1), first, [height, width]).astype(int)
    return Drawn(int(first[0]), int(first[1]), np.ones(stop - first, bool))


def _corners(polygon: Any) -> np.ndarray:
    """(points, 2) x and y. Raises ValueError."""
    points = np.asarray(polygon, np.float64).reshape(-1, 2)
    if not (np.abs(points) <= FURTHEST).all():  # NaN is not, either
        raise ValueError(f"expected pairs of finite numbers x, y, at most {FURTHEST:g} from the picture")
    return points


def _within_bounds(inside: np.ndarray) -> Drawn:
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return NOTHING
    top, left = int(rows[0]), int(columns[0])
    return Drawn(top, left, inside[top : rows[-1] + 1, left : columns[-1] + 1].copy())


def _filled(polygons: Sequence[np.ndarray], height: int, width: int) -> Drawn:
    """The pixels whose centres lie within one of the polygons, each (points, 2) of x and y."""
    if not polygons:
        return NOTHING
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
    rows = int(max(1, MOST_FINE // (FINER * FINER * (right - left))))
    for start in range(top, bottom, rows):  # a band at a time, as pixels are many times as many when enlarged
        end = min(start + rows, bottom)
        image = Image.new("1", (int(right - left) * FINER, int(end - start) * FINER))
        # Pillow has the centre of the first pixel at 0, COCO at 0.5
        corners = (points - [left, start]) * FINER - 0.5
        ImageDraw.Draw(image).polygon([(x, y) for x, y in corners.tolist()], fill=1)
        inside[start:end, left:right] |= np.array(image)[FINER // 2 :: FINER, FINER // 2 :: FINER]


def _runs(shape: dict[str, Any], height: int, width: int) -> np.ndarray:
    counts = shape["counts"]
    runs = counts if isinstance(counts, list) else _uncompressed(counts)
    if not all(isinstance(run, int) and run >= 0 for run in runs):
        raise ValueError("run lengths are whole numbers >= 0")
    if list(shape["size"]) != [height, width] or sum(runs) != height * width:
        raise ValueError(
            f"its size is {shape['size']}, its runs have {sum(runs)} pixels; the picture is {height}x{width}"
        )
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return inside.reshape(width, height).T


def _uncompressed(text: Any) -> list[int]:
    if not isinstance(text, str):
        raise ValueError("its counts are neither a list nor a text")
    codes = text.encode()
    if any(not 48 <= code < 112 for code in codes) or (codes and (codes[-1] - 48) & 0x20):
        raise ValueError("its characters are not compressed run lengths, or are cut off")
    runs: list[int] = []
    value, shift = 0, 0
    for bits in (code - 48 for code in codes):
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            if shift > LONGEST_RUN:
                raise ValueError("a run length in it has too many digits")
            continue
        if bits & 0x10:
            value |= -1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    return runs
