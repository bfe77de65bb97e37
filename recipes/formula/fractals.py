"""Fractals: iterated function systems with controlled singular values (Anderson & Farrell 2022; Kataoka et al. 2020).

A class is a set of affine maps x -> A_i x + b_i, i = 1..N, drawn with probability p_i ~ |det A_i|; its attractor is
what random sequences of maps lead to. With singular values s1 >= s2 of each A_i such that sum(s1 + 2 s2) lies in
[(5 + N) / 2, (6 + N) / 2] nearly every system fills its picture well, so that none has to be searched for. Pictures of
a class differ in its parameters by some percent, as in FractalDB.

Different from both, points are not drawn one after another: a cloud of points is mapped as a whole, some of them by
each map in proportion to p_i, and grows meanwhile, so that a point costs two affine maps and a half.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np

from recipes.formula.frame import Layer, Movement, splat

CHANGE = 0.12
"""Greatest relative change of a parameter between pictures of a class."""

_SIZES = (*[64] * 4, *[128] * 2, *[256] * 2, *[512] * 2, *[1152] * 2, 2304, 4608)
"""Points after each mapping: few until they are close to the attractor, then more, but not so fast that copies of a
point are mapped alike all the time where one map is drawn far oftener than the others."""

LEAST_SPREAD = 0.3
"""Least ratio of the deviations along the two main axes; a system whose attractor is thinner is drawn again."""


class Fractal(NamedTuple):
    """A class."""

    maps: np.ndarray
    """(N, 6): a11, a12, a21, a22, b1, b2."""
    tones: np.ndarray
    """(N,) in [0, 1]: of the parts of the attractor."""


def fractal(draws: np.random.Generator) -> Fractal:
    """A random class whose attractor fills a plane figure."""
    while True:
        drawn = _drawn(draws)
        points, _ = attractor(drawn, draws)
        spread = np.linalg.eigvalsh(np.cov(points))
        if spread[0] > LEAST_SPREAD**2 * spread[1]:
            return drawn


def draw_fractal(kind: Fractal, draws: np.random.Generator, side: int, movement: Movement) -> Layer:
    """A picture of the class, its parameters changed a little."""
    change = 1 + CHANGE * (2 * draws.random(kind.maps.shape, np.float32) - 1)
    points, tones = attractor(Fractal(kind.maps * change, kind.tones), draws)
    points -= points.mean(1, keepdims=True)
    points /= 2.2 * points.std() + 1e-6
    width, ink = draws.uniform(0.35, 0.8) * side / 64, np.exp(draws.uniform(-1.5, 1.0)) * (side / 64) ** 2
    return splat(movement.forth(points), tones, side, width=width, ink=ink)


def attractor(kind: Fractal, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (2, n) of the attractor, and their tones (n,)."""
    a11, a12, a21, a22 = kind.maps[:, :4].T
    chances = np.abs(a11 * a22 - a12 * a21) + 1e-3
    shares = np.cumsum(chances / chances.sum())
    x, y, tones = np.zeros((3, 1), np.float32)
    columns = np.concatenate([kind.maps, kind.tones[:, None]], 1).T
    for size, source, offset in zip(_SIZES, _sources(), draws.random(len(_SIZES))):
        ends = (shares * size + offset).astype(int)
        ends[-1] = size
        ends[1:] -= ends[:-1]
        b11, b12, b21, b22, shift_x, shift_y, toned = np.repeat(columns, ends, 1)
        x, y = x[source], y[source]
        x, y = b11 * x + b12 * y + shift_x, b21 * x + b22 * y + shift_y
        tones = 0.6 * toned + 0.4 * tones[source]
    return np.stack([x, y]), tones


def _drawn(draws: np.random.Generator) -> Fractal:
    count = int(draws.integers(2, 7))
    values = _singular_values(count, draws.uniform(5 + count, 6 + count) / 2, draws)
    first, second = draws.uniform(-np.pi, np.pi, (2, count))
    signs = draws.choice([-1.0, 1.0], (count, 2))
    matrices = _turns(first) * values[:, None, :] @ (_turns(second) * signs[:, None, :])
    maps = np.concatenate([matrices.reshape(count, 4), draws.uniform(-1, 1, (count, 2))], 1)
    return Fractal(maps.astype(np.float32), draws.random(count, np.float32))


def _singular_values(count: int, total: float, draws: np.random.Generator) -> np.ndarray:
    """(count, 2), each row s1 >= s2 in [0, 1], with sum(s1 + 2 s2) = total: algorithm 1 of Anderson & Farrell."""
    low, high = total - 3 * count + 3, total
    values = np.zeros((count, 2))
    for row in values[:-1]:
        row[0] = draws.uniform(max(0.0, low / 3), min(1.0, high))
        low, high = low - row[0], high - row[0]
        row[1] = draws.uniform(max(0.0, low / 2), min(row[0], high / 2))
        low, high = low - 2 * row[1] + 3, high - 2 * row[1]
    values[-1, 1] = draws.uniform(max(0.0, (high - 1) / 2), high / 3)
    values[-1, 0] = high - 2 * values[-1, 1]
    return values


def _turns(angles: np.ndarray) -> np.ndarray:
    """(n,) -> (n, 2, 2)"""
    return np.moveaxis(np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]), 2, 0)


@cache
def _sources() -> tuple[np.ndarray, ...]:
    """Which of the points before each mapping the points after it come from, in a fixed disorder."""
    disorder = np.random.default_rng(0)
    sizes = (1, *_SIZES)
    return tuple(disorder.permutation(after) % before for before, after in itertools.pairwise(sizes))
