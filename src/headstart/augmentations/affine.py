"""Small random shifts, zooms and turns of an image, no mirroring: safe where orientation carries the label.

Each image is resampled once, through one affine grid. Simard, Steinkraus & Platt 2003 ("Best practices for
convolutional neural networks") showed how much such distortions are worth on few labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from headstart.augmentations._warp import Warp
from headstart.contracts.target_movement import Size


class Affine(Warp):
    """Random shift, zoom and rotation."""

    shift: float = Field(default=0.1, ge=0, lt=1)
    """Greatest shift along each axis, as a share of the image's side; in [0, 1)."""
    zoom: float = Field(default=0.15, ge=0, lt=1)
    """Greatest relative change of what is seen of the image, along each axis; in [0, 1)."""
    rotation: float = Field(default=10.0, ge=0, le=180)
    """Greatest turn, in degrees; in [0, 180]."""

    def grid(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Where each pixel comes from, (batch, height, width, 2)."""
        theta = torch.from_numpy(self._matrices(seeds, *images.shape[2:])).to(images)
        return functional.affine_grid(theta, list(images.shape), align_corners=False)

    def move_points(self, points: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return points (batch, points, 2) by the inverse of the matrix that pixels come from."""
        height, width = size
        theta = torch.from_numpy(self._matrices(seeds, height, width)).to(points)
        half = points.new_tensor([width, height]) / 2
        shifted = points / half - 1 - theta[:, None, :, 2]
        return (shifted @ torch.linalg.inv(theta[:, :, :2]).mT + 1) * half

    def _matrices(self, seeds: Sequence[int], height: int, width: int) -> np.ndarray:
        """(examples, 2, 3): a place in the view -> where it comes from, both from -1 to 1 between the outer edges."""
        draws = np.stack([np.random.default_rng(seed).uniform(-1, 1, 4) for seed in seeds])
        angle = draws[:, 0] * math.radians(self.rotation)
        scale = 1 + draws[:, 1] * self.zoom
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        across, down = 2 * self.shift * draws[:, 2], 2 * self.shift * draws[:, 3]
        # coordinates run from -1 to 1 along both axes, whatever their lengths
        rows = [[cosine, -sine * height / width, across], [sine * width / height, cosine, down]]
        return np.moveaxis(np.array(rows), 2, 0)
