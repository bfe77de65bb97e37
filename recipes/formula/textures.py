"""Textures: random fields with a spectrum of their own, and what they are seen through.

A class says how strong each frequency is, along which direction, and how values become tones; a picture of it is the
inverse Fourier transform of white noise times that strength. Backgrounds have the spectrum 1 / f^a of natural pictures,
or are dead leaves: shapes that hide each other (Baradad et al. 2021, "Learning to see by looking at noise").
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from recipes.formula.frame import Layer, Movement, places


class Texture(NamedTuple):
    """A class."""

    frequency: float
    """Waves across the frame where the spectrum peaks."""
    band: float
    """Width of the peak, in octaves."""
    angle: float
    """Direction of the waves."""
    spread: float
    """How narrow the directions are: 0 is all alike."""
    steepness: float
    """0: tones as they are; large: nearly two tones only."""
    folds: float
    """How often the tones go up and down between the least and the greatest value."""


def texture(draws: np.random.Generator) -> Texture:
    """A random class."""
    frequency, band = np.exp(draws.uniform(np.log(2.5), np.log(14))), draws.uniform(0.2, 1.2)
    spread = draws.choice([0.0, 1.5, 6.0])
    return Texture(
        frequency,
        band,
        draws.uniform(-np.pi, np.pi),
        spread,
        draws.choice([0.0, 1.5, 6.0]),
        draws.choice([0.0, 0.0, 1.0, 2.5]),
    )


def draw_texture(kind: Texture, draws: np.random.Generator, side: int, movement: Movement) -> Layer:
    """A picture of the class: all of the frame."""
    along, across = movement.matrix @ _waves(side)
    frequency = np.hypot(along, across) + 1e-3
    octaves = np.log2(frequency / kind.frequency) / kind.band
    direction = np.cos(2 * (np.arctan2(across, along) - kind.angle)) if kind.spread else 1.0
    field = _field(np.exp(kind.spread * (direction - 1) - octaves**2), draws, side)
    if kind.folds:
        field = 2 * np.sin(kind.folds * field)
    tone = 0.5 + 0.25 * field if not kind.steepness else 1 / (1 + np.exp(-kind.steepness * field))
    return Layer(np.ones((side, side), np.float32), tone.astype(np.float32))


def natural_noise(draws: np.random.Generator, side: int) -> np.ndarray:
    """(side, side) of the spectrum 1 / f^a, a in [0.7, 1.6], in [0, 1] for the most part."""
    frequency = np.hypot(*_waves(side)) + 0.5
    return 0.5 + 0.25 * _field(frequency ** -draws.uniform(0.7, 1.6), draws, side)


def dead_leaves(draws: np.random.Generator, side: int) -> np.ndarray:
    """(side, side) in [0, 1]: discs and bars of random tones, later ones upon earlier ones."""
    x, y = places(side)
    tone = np.full(side * side, draws.random(), np.float32)
    count = int(draws.integers(6, 22))
    for centre_x, centre_y, size, angle, value, shape in draws.random((count, 6)):
        size = 0.08 + 0.5 * size**2
        along, across = x - (2 * centre_x - 1), y - (2 * centre_y - 1)
        if shape < 0.5:
            inside = along * along + across * across < size * size
        else:
            cosine, sine = np.cos(6.3 * angle), np.sin(6.3 * angle)
            inside = (
                np.maximum(np.abs(cosine * along + sine * across), 3 * np.abs(cosine * across - sine * along)) < size
            )
        tone[inside] = value
    return tone.reshape(side, side)


def _field(strength: np.ndarray, draws: np.random.Generator, side: int) -> np.ndarray:
    """(side, side) of mean 0 and deviation 1, whose frequencies have `strength` (side * (side // 2 + 1),)."""
    noise = draws.standard_normal((2, len(strength)), np.float32)
    shaped = ((noise[0] + 1j * noise[1]) * strength).reshape(side, -1).astype(np.complex64)
    shaped[0, 0] = 0
    field = np.fft.irfft2(shaped, (side, side))
    return field / (field.std() + 1e-9)


@cache
def _waves(side: int) -> np.ndarray:
    """(2, side * (side // 2 + 1)): waves across the frame along x and y, as a real Fourier transform orders them."""
    x, y = np.meshgrid(np.arange(side // 2 + 1), np.fft.fftfreq(side, 1 / side))
    return np.stack([x.ravel(), y.ravel()])
