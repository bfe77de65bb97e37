"""Elastic distortions of an image: as if it were drawn on rubber, which suits writing, tissue and cells.

A few nodes are laid evenly over the image and each is displaced at random, normally distributed; the pixels between
them are displaced by bicubic interpolation (Ronneberger, Fischer & Brox 2015, who have 3 x 3 nodes). Simard, Steinkraus
& Platt 2003 gave the idea and showed its worth on handwritten digits; they smooth a displacement of each pixel instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from headstart.augmentations._warp import Warp
from headstart.contracts.target_movement import Size

STEEPEST = 0.1
"""Magnitude per distance of two nodes up to which folds are too rare to be met with."""

ITERATIONS = 30
"""Of the search for the place of a point; each brings it nearer by the slope of the displacement."""


class Elastic(Warp):
    """Smooth random displacements."""

    nodes: int = Field(default=4, ge=2, le=32)
    """Displaced along each axis; the more, the finer the distortion; in [2, 32]."""
    magnitude: float = Field(default=0.03, gt=0, le=0.2)
    """Standard deviation of a node's displacement along each axis, as a share of the image's side; in (0, 0.2]."""

    @property
    def one_to_one(self) -> bool:  # type: ignore[override]
        """Return whether neighbouring nodes are displaced too little to fold the image."""
        return self.magnitude * (self.nodes - 1) <= STEEPEST

    def grid(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Every pixel's own place, displaced, (batch, height, width, 2)."""
        displaced = self._displaced(images, seeds, images.shape[2:])
        unmoved = torch.eye(2, 3).expand(len(images), 2, 3).to(images)
        places = functional.affine_grid(unmoved, [*images.shape], align_corners=False)
        return places + displaced.permute(0, 2, 3, 1)

    def move_points(self, points: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return points (batch, points, 2): the places p with p + displacement(p) = the point, found by iteration."""
        height, width = size
        half = points.new_tensor([width, height]) / 2
        displaced, start = self._displaced(points, seeds, size), points / half - 1
        moved = start
        for _ in range(ITERATIONS):
            found = functional.grid_sample(displaced, moved[:, None], padding_mode="border", align_corners=False)
            moved = start - found[:, :, 0].mT
        return (moved + 1) * half

    def _displaced(self, like: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """(examples, 2, height, width): how far from its own place each pixel comes, of the type of `like`."""
        draws = np.stack([np.random.default_rng(seed).normal(size=(2, self.nodes, self.nodes)) for seed in seeds])
        nodes = torch.from_numpy(2 * self.magnitude * draws).to(like)  # coordinates run from -1 to 1
        return functional.interpolate(nodes, size=[*size], mode="bicubic", align_corners=True)
