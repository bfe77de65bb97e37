"""Strokes: signs of a few smooth lines, as of a script that nobody writes.

A class is one to four splines through random points; its pictures are written by different hands: their points
jittered, with pens of different widths. Contours alone teach nearly as much as fractals do (Kataoka et al. 2022,
"Replacing labeled real-image datasets with auto-generated contours").
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from recipes.formula.frame import Layer, Movement, splat

KNOTS = 5
"""Points that a line goes through."""
STEPS = 160
"""Points that stand for a line."""
JITTER = 0.09
"""Deviation of a knot from its place, in frame units."""


class Sign(NamedTuple):
    """A class."""

    knots: np.ndarray
    """(lines, 2, KNOTS)"""
    tones: np.ndarray
    """(lines,)"""
    round: np.ndarray
    """(lines,): 1 for smooth lines, 0 for those with corners."""


def sign(draws: np.random.Generator) -> Sign:
    """A random class."""
    lines = int(draws.choice([1, 2, 3, 4], p=[0.3, 0.35, 0.25, 0.1]))
    walks = np.cumsum(draws.normal(0, 0.75, (lines, 2, KNOTS)), 2) + draws.normal(0, 0.5, (lines, 2, 1))
    closed = draws.random(lines) < 0.35
    walks[closed, :, -1] = walks[closed, :, 0]
    walks -= (walks.max((0, 2)) + walks.min((0, 2)))[:, None] / 2
    walks /= np.abs(walks).max((0, 2))[:, None]
    return Sign(
        walks.astype(np.float32), draws.random(lines, np.float32), (draws.random(lines) < 0.75).astype(np.float32)
    )


def draw_sign(kind: Sign, draws: np.random.Generator, side: int, movement: Movement) -> Layer:
    """A picture of the class, written anew."""
    knots = kind.knots + JITTER * draws.standard_normal(kind.knots.shape, np.float32)
    smooth, straight = knots @ _through(True), knots @ _through(False)
    lines = straight + kind.round[:, None, None] * (smooth - straight)
    points = np.moveaxis(lines, 1, 0).reshape(2, -1)
    tones = np.repeat(kind.tones, STEPS)
    pen = np.exp(draws.uniform(np.log(0.7), np.log(3.2))) * side / 64
    return splat(movement.forth(points), tones, side, width=pen, ink=4 * pen)


@cache
def _through(smooth: bool) -> np.ndarray:
    """(KNOTS, STEPS): from knots to the points of a Catmull-Rom spline through them, or of straight lines."""
    at = np.linspace(0, KNOTS - 1, STEPS)
    first = np.minimum(at.astype(int), KNOTS - 2)
    t = at - first
    if smooth:
        weights = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]
        parts = [(offset, weight / 2) for offset, weight in zip((-1, 0, 1, 2), weights)]
    else:
        parts = [(0, 1 - t), (1, t)]
    matrix = np.zeros((KNOTS, STEPS))
    for offset, weight in parts:
        np.add.at(matrix, (np.clip(first + offset, 0, KNOTS - 1), np.arange(STEPS)), weight)
    return matrix.astype(np.float32)
