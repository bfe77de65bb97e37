"""Formula pictures: labelled images that are made, not taken, so that nobody owns them and nobody is on them.

Formula-driven supervised learning (Kataoka et al. 2020, "Pre-training without natural images"): a class is the
parameters of a formula, and a network that learns to tell the classes apart learns features that transfer. Here the
formulas are fractals, signs of strokes, bodies of several parts and textures; each picture shows one to three figures
of its class upon a background, in random colours and light. It is a pure function of (seed, class, number).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from headstart.kernel.randomness import draw_seed
from recipes.formula.bodies import body, draw_body
from recipes.formula.fractals import draw_fractal, fractal
from recipes.formula.frame import Layer, Movement, blurred, places
from recipes.formula.strokes import draw_sign, sign
from recipes.formula.textures import dead_leaves, draw_texture, natural_noise, texture

FORMAT_NUMBER = 1
"""Rises whenever the same (seed, class, number) becomes another picture."""


class Formula(NamedTuple):
    """A kind of classes."""

    name: str
    share: int
    """Of ten classes, how many are of this kind."""
    drawn: Callable[[np.random.Generator], Any]
    """A random class."""
    draw: Callable[[Any, np.random.Generator, int, Movement], Layer]
    """A picture of a class."""
    turn: float
    """Greatest turn of a figure, in radians."""
    most: int
    """Figures in a picture at most."""


FORMULAS = (
    Formula("fractal", 3, fractal, draw_fractal, 0.8, 3),
    Formula("sign", 3, sign, draw_sign, 0.35, 2),
    Formula("body", 3, body, draw_body, 0.5, 3),
    Formula("texture", 1, texture, draw_texture, 0.4, 1),
)
_BY_LAST_DIGIT = tuple(formula for formula in FORMULAS for _ in range(formula.share))


class Kind(NamedTuple):
    """One class."""

    formula: Formula
    parameters: Any
    palette: np.ndarray
    """(3, 3) RGB in [0, 1]."""
    coloured: bool
    """True where pictures tend to the palette of the class; elsewhere colours carry no information."""


@lru_cache(maxsize=8192)
def kind_of(seed: int, number: int) -> Kind:
    """Class `number` of a world of classes named by `seed`."""
    draws = np.random.default_rng(draw_seed(seed, "formula class", number))
    formula = _BY_LAST_DIGIT[number % len(_BY_LAST_DIGIT)]
    return Kind(formula, formula.drawn(draws), draws.random((3, 3), np.float32), bool(draws.random() < 0.4))


def picture(seed: int, number: int, index: int, side: int) -> np.ndarray:
    """Picture `index` of class `number`: (side, side, 3) uint8 RGB."""
    kind = kind_of(seed, number)
    draws = np.random.default_rng(draw_seed(seed, "formula picture", number, index))
    palette = _palette(kind, draws)
    tone = _background(draws, side)
    rgb = palette[0] + tone[:, :, None] * (palette[1] - palette[0])
    figures = 1 if draws.random() < 0.7 else int(draws.integers(1, kind.formula.most + 1))
    for _ in range(figures):
        most = 1.0 if figures == 1 else 0.6
        movement = Movement.drawn(draws, size=(0.45 * most, most), turn=kind.formula.turn, bend=0.12)
        layer = kind.formula.draw(kind.parameters, draws, side, movement)
        colour = palette[2] + layer.tone[:, :, None] * (palette[3] - palette[2])
        rgb += layer.cover[:, :, None] * (colour - rgb)
    return _photographed(rgb, draws, side)


def _palette(kind: Kind, draws: np.random.Generator) -> np.ndarray:
    """(4, 3): two colours of the background and two of the figures, which stand out from it."""
    colours = draws.random((4, 3), np.float32)
    if kind.coloured:
        colours[1:] = np.clip(kind.palette + 0.15 * draws.standard_normal((3, 3), np.float32), 0, 1)
    if draws.random() < 0.3:
        colours[:] = colours.mean(1, keepdims=True)
    behind, before = colours[:2].mean(), colours[2:].mean()
    if abs(before - behind) < 0.3:
        push = 0.3 if before > behind else -0.3
        colours[2:] = np.clip(colours[2:] + push, 0, 1)
        colours[:2] = np.clip(colours[:2] - push, 0, 1)
    return colours


def _background(draws: np.random.Generator, side: int) -> np.ndarray:
    """(side, side) tones: flat, a gradient, waves, noise with the spectrum of nature, or dead leaves."""
    which = draws.random()
    if which < 0.35:
        return np.zeros((side, side), np.float32)
    if which < 0.65:
        return natural_noise(draws, side).astype(np.float32)
    if which < 0.8:
        return dead_leaves(draws, side)
    direction = draws.normal(0, 1 if which < 0.92 else 9, 2).astype(np.float32) @ places(side)
    tone = 0.5 + 0.4 * (direction if which < 0.92 else np.sin(direction))
    return tone.reshape(side, side)


def _photographed(rgb: np.ndarray, draws: np.random.Generator, side: int) -> np.ndarray:
    """Light that falls off, a little blur or grain, 8 bits."""
    light, slope_x, slope_y, blur, grain = draws.uniform(-1, 1, 5)
    x, y = places(side)
    shade = 1 + 0.2 * light + 0.25 * (slope_x * x + slope_y * y)
    rgb = rgb * shade.reshape(side, side, 1).astype(np.float32)
    if blur > 0.6:
        rgb = np.stack([blurred(rgb[:, :, channel], blur) for channel in range(3)], 2)
    if grain > 0.4:
        rgb = rgb + 0.1 * (grain - 0.3) * draws.standard_normal(rgb.shape, np.float32)
    return np.clip(rgb * 255, 0, 255).astype(np.uint8)
