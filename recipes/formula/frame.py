"""The square that formula pictures are drawn in: pixel places in [-1, 1], random movements, and layers upon it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np


class Layer(NamedTuple):
    """A figure on its way into a picture."""

    cover: np.ndarray
    """(side, side) float32 in [0, 1]: how much of each pixel it hides."""
    tone: np.ndarray
    """(side, side) float32, about [0, 1]: where in the palette each pixel lies."""


@dataclass(frozen=True)
class Movement:
    """Where a figure lies, and how it is bent: p -> M p + shift + depth * sin(waves M p + phase), in frame units."""

    matrix: np.ndarray
    """(2, 2)"""
    shift: np.ndarray
    """(2,)"""
    waves: np.ndarray
    """(2, 2)"""
    phase: np.ndarray
    """(2,)"""
    depth: float

    @classmethod
    def drawn(cls, draws: np.random.Generator, *, size: tuple[float, float], turn: float, bend: float) -> Movement:
        """A random one.

        Args:
            draws: decides it.
            size: least and greatest size of the figure, as a share of the frame. turn: greatest turn, radians.
            bend: greatest depth of the bending.
        """
        u = 2 * draws.random(13, np.float32) - 1
        scale = size[0] + (size[1] - size[0]) * (u[0] + 1) / 2
        angle, stretch, shear = turn * u[1], np.exp(0.2 * u[2]), 0.25 * u[3]
        cosine, sine = np.cos(angle), np.sin(angle)
        rotation = np.array([[cosine, -sine], [sine, cosine]])
        matrix = scale * rotation @ np.array([[stretch, shear], [0.0, 1 / stretch]])
        room = max(0.05, 1 - scale)
        waves, phase = 3.5 * u[6:10].reshape(2, 2), 3.2 * u[10:12]
        return cls(matrix.astype(np.float32), room * u[4:6], waves, phase, bend * abs(u[12]))

    def forth(self, points: np.ndarray) -> np.ndarray:
        """Points (2, n) of the figure -> where they lie in the frame, (2, n)."""
        moved = self.matrix @ points
        return moved + self.depth * np.sin(self.waves @ moved + self.phase[:, None]) + self.shift[:, None]

    def back(self, places: np.ndarray) -> np.ndarray:
        """Places (2, n) in the frame -> the points of the figure there, (2, n), the bending undone in first order."""
        moved = places - self.shift[:, None]
        moved = moved - self.depth * np.sin(self.waves @ moved + self.phase[:, None])
        return np.linalg.inv(self.matrix) @ moved


@cache
def places(side: int) -> np.ndarray:
    """The centres (2, side * side) of all pixels, x then y, row by row; read-only."""
    axis = ((np.arange(side) + 0.5) * 2 / side - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    found = np.stack([x.ravel(), y.ravel()])
    found.setflags(write=False)
    return found


def blurred(image: np.ndarray, width: float) -> np.ndarray:
    """(side, side) smoothed by a Gaussian of `width` pixels."""
    matrix = _smoothing(len(image), round(width * 8))
    return matrix @ image @ matrix.T


def splat(points: np.ndarray, tones: np.ndarray, side: int, *, width: float, ink: float) -> Layer:
    """Points (2, n) in the frame as a layer: dots of `width` pixels, which cover 1 - exp(-`ink` * density).

    Args:
        points: places in the frame; those outside are left out.
        tones: (n,) float32, of each point.
        side: pixels of the frame.
        width: deviation of a dot, in pixels.
        ink: how soon dots cover all; the density is in units of one point per pixel.
    """
    column, row = ((points + 1) * np.float32(side / 2)).astype(np.int32)
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    numbers = (row * side + column)[inside]
    count = np.bincount(numbers, minlength=side * side)
    toned = np.bincount(numbers, tones[inside], minlength=side * side)
    matrix = _smoothing(side, round(width * 8))
    both = np.stack([count, toned]).astype(np.float32).reshape(2, side, side)
    density, weighted = matrix @ both @ matrix.T
    return Layer(1 - np.exp(-ink * density), weighted / (density + 1e-6))


@cache
def _smoothing(side: int, eighths: int) -> np.ndarray:
    """(side, side) matrix that smooths one axis by a Gaussian whose deviation is given in eighths of a pixel."""
    places = np.arange(side)
    matrix = np.exp(-0.5 * ((places[:, None] - places) / max(eighths / 8, 0.25)) ** 2)
    return (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)
