"""The elastic augmentation against a longhand of bicubic interpolation (Keys 1981) and SciPy's resampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from headstart.augmentations.elastic import Elastic
from headstart.contracts.carriers import State

SHARPNESS = -0.75
"""Of the cubic kernel; PyTorch's, OpenCV's as well."""


def kernel(distance: float) -> float:
    """Keys' cubic convolution kernel."""
    x, a = abs(distance), SHARPNESS
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def weights(nodes: int, size: int) -> np.ndarray:
    """(size, nodes): how much each node counts at each pixel; beyond the outermost nodes they are repeated."""
    found = np.zeros((size, nodes))
    for pixel in range(size):
        place = pixel * (nodes - 1) / (size - 1)
        for node in range(math.floor(place) - 1, math.floor(place) + 3):
            found[pixel, min(max(node, 0), nodes - 1)] += kernel(place - node)
    return found


def displacements(elastic: Elastic, seed: int, height: int, width: int) -> np.ndarray:
    """(2, height, width) in pixels: across and down."""
    drawn = np.random.default_rng(seed).normal(size=(2, elastic.nodes, elastic.nodes)) * elastic.magnitude
    down, across = weights(elastic.nodes, height), weights(elastic.nodes, width)
    return np.stack([down @ nodes @ across.T * side for nodes, side in zip(drawn, (width, height))])


@pytest.mark.parametrize("seed", [3, 11])
@pytest.mark.parametrize(("height", "width", "nodes"), [(24, 24, 3), (20, 36, 5)])
def test_pixels_and_maps_come_from_where_scipy_takes_them(height: int, width: int, nodes: int, seed: int) -> None:
    elastic = Elastic(nodes=nodes, magnitude=0.06)
    across, down = displacements(elastic, seed, height, width)
    rows, columns = np.mgrid[:height, :width]
    places = [rows + down, columns + across]

    pixels = np.sin(rows / 3.0) * np.cos(columns / 4.0) + 0.02 * columns
    view = elastic.view(State(torch.from_numpy(pixels)[None, None]), [seed]).hidden[0, 0]
    np.testing.assert_allclose(view.numpy(), map_coordinates(pixels, places, order=1, mode="nearest"), atol=1e-9)
    assert abs(view.numpy() - pixels).max() > 0.1  # it does something

    cells = (rows // 4 + columns // 4) % 7
    moved = elastic.move_maps(torch.from_numpy(cells)[None], [seed])[0]
    assert np.array_equal(moved.numpy(), map_coordinates(cells, places, order=0, mode="nearest"))


def test_displacements_have_the_magnitude_that_is_asked_for() -> None:
    images = torch.zeros(400, 1, 4, 4, dtype=torch.float64)  # a node on each pixel, so that nothing is interpolated
    elastic = Elastic(nodes=4, magnitude=0.05)
    unmoved = (torch.arange(4) * 2 + 1) / 4 - 1
    displaced = elastic.grid(images, range(400)) - torch.stack(torch.meshgrid(unmoved, unmoved, indexing="xy"), dim=2)
    assert displaced.mean().item() == pytest.approx(0, abs=0.005)
    assert displaced.std().item() / 2 == pytest.approx(0.05, rel=0.03)  # coordinates run from -1 to 1
