"""Bodies: solid figures of several parts, each an ellipse with a wavy edge, before or behind the others.

A class says where its parts lie, what they look like, and with which grain they are painted; in its pictures the parts
shift, grow and turn a little. The edges are the radial contours of Kataoka et al. 2022: r(a) = 1 + sum_k c_k cos(k a +
d_k). Fractals have no inside, which is most of what photographs show.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recipes.formula.frame import Layer, Movement, places

LOOSE = 0.1
"""How much the parts of a picture differ from those of its class."""


class Body(NamedTuple):
    """A class."""

    centres: np.ndarray
    """(parts, 2)"""
    axes: np.ndarray
    """(parts, 2): half the lengths of the axes."""
    angles: np.ndarray
    """(parts,)"""
    waves: np.ndarray
    """(parts, 3): number, height and phase of the waves along the edge."""
    tones: np.ndarray
    """(parts,)"""
    grain: np.ndarray
    """(parts, 4): of the pattern on a part, frequencies along x and y, phase and height."""


def body(draws: np.random.Generator) -> Body:
    """A random class: a large part first, smaller ones upon it or at its edge."""
    parts = int(draws.integers(1, 7))
    angle, distance = draws.uniform(-np.pi, np.pi, parts), draws.uniform(0.15, 0.75, parts)
    distance[0] = 0.0
    size = draws.uniform(0.12, 0.42, parts)
    size[0] = draws.uniform(0.5, 0.7)
    stretch = np.exp(draws.uniform(-0.6, 0.6, parts))
    waves = [draws.integers(2, 9, parts), draws.uniform(0, 0.3, parts) * (draws.random(parts) < 0.6)]
    grain = [*draws.normal(0, 7, (2, parts)), draws.uniform(-3, 3, parts), 0.6 * draws.random(parts) ** 2]
    values = (
        np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1),
        np.stack([size * stretch, size / stretch], 1),
        draws.uniform(-np.pi, np.pi, parts),
        np.stack([*waves, draws.uniform(-3, 3, parts)], 1),
        draws.random(parts),
        np.stack(grain, 1),
    )
    return Body(*(value.astype(np.float32) for value in values))


def draw_body(kind: Body, draws: np.random.Generator, side: int, movement: Movement) -> Layer:
    """A picture of the class."""
    parts = len(kind.tones)
    points = movement.back(places(side))
    shifts, growth, turns = np.split(LOOSE * draws.standard_normal((parts, 5), np.float32), [2, 4], 1)
    centres, axes, angles = kind.centres + shifts, kind.axes * np.exp(1.5 * growth), kind.angles + 2 * turns[:, 0]
    edge = np.float32(side * np.sqrt(abs(np.linalg.det(movement.matrix))) / 2)
    outlined = draws.random() < 0.25
    cover, tone = np.zeros(side * side, np.float32), np.zeros(side * side, np.float32)
    for number in range(parts):
        cosine, sine = np.cos(angles[number]), np.sin(angles[number])
        x, y = np.array([[cosine, sine], [-sine, cosine]]) / axes[number][:, None] @ (points - centres[number][:, None])
        radius = np.sqrt(x * x + y * y)
        count, height, phase = kind.waves[number]
        rim = 1 + height * np.cos(count * np.arctan2(y, x) + phase) if height else 1.0
        inside = np.clip((rim - radius) * (edge * axes[number].min()) + 0.5, 0, 1)
        along, across, shift, depth = kind.grain[number]
        painted = kind.tones[number] + depth * np.sin(along * x + across * y + shift) + 0.15 * y
        if outlined:
            painted = np.where(radius > rim - 0.15, 1 - kind.tones[number], painted)
        tone += inside * (painted - tone)
        cover = np.maximum(cover, inside)
    return Layer(cover.reshape(side, side), tone.reshape(side, side))
