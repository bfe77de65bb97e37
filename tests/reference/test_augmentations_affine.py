"""The affine augmentation against SciPy and Pillow: the same pixels moved, turned and zoomed by their longhand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import affine_transform

from headstart.augmentations.affine import Affine
from headstart.contracts.carriers import State

SEEDS = (3, 4, 11)


def draws(seed: int) -> np.ndarray:
    """Turn, zoom, shift across and shift down, each in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, 4)


def picture(height: int, width: int) -> np.ndarray:
    """(height, width) with smooth structure, so that interpolation differs little between libraries."""
    rows, columns = np.mgrid[:height, :width]
    return np.sin(rows / 3.0) * np.cos(columns / 4.0) + 0.02 * columns


def view(augmentation: Affine, pixels: np.ndarray, seed: int) -> np.ndarray:
    state = State(torch.from_numpy(pixels)[None, None])
    return augmentation.view(state, [seed]).hidden[0, 0].numpy()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("height", "width"), [(24, 24), (20, 36)])
def test_a_turn_with_zoom_and_shift_equals_scipy(height: int, width: int, seed: int) -> None:
    augmentation = Affine(shift=0.2, zoom=0.3, rotation=40.0)
    turn, zoom, across, down = draws(seed)
    angle, scale = math.radians(40.0 * turn), 1 + 0.3 * zoom
    # in pixels, (row, column): where in the old image each pixel of the new one comes from
    matrix = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = centre - matrix @ centre + np.array([0.2 * down * height, 0.2 * across * width])
    pixels = picture(height, width)
    expected = affine_transform(pixels, matrix, offset, order=1, mode="nearest")
    np.testing.assert_allclose(view(augmentation, pixels, seed), expected, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shift_equals_pillow(seed: int) -> None:
    height, width = 20, 36
    _, _, across, down = draws(seed)
    pixels = picture(height, width).astype(np.float32)
    coefficients = (1, 0, 0.15 * across * width, 0, 1, 0.15 * down * height)
    moved = Image.fromarray(pixels).transform((width, height), Image.Transform.AFFINE, coefficients, Image.BILINEAR)
    found = view(Affine(shift=0.15, zoom=0, rotation=0), pixels, seed)
    inner = np.s_[6:-6, 8:-8]  # outside the picture Pillow has black, the augmentation repeats the border
    np.testing.assert_allclose(found[inner], np.asarray(moved)[inner], atol=1e-4)


def test_a_turn_keeps_distances_also_where_the_image_is_not_square() -> None:
    pixels = np.zeros((41, 81))
    pixels[20, 55:58] = 1.0  # 16 pixels to the right of the middle
    seed = SEEDS[0]
    angle = math.radians(90.0 * draws(seed)[0])
    turned = view(Affine(shift=0, zoom=0, rotation=90.0), pixels, seed)
    row, column = (np.average(axis, weights=turned) for axis in np.mgrid[:41, :81])
    assert math.hypot(row - 20, column - 40) == pytest.approx(16, abs=0.1)
    assert math.atan2(row - 20, column - 40) == pytest.approx(-angle, abs=0.02)
