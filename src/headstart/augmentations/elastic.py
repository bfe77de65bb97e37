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


class Elastic(Warp):
    """Smooth random displacements."""

    nodes: int = Field(default=4, ge=2, le=32)
    """Displaced along each axis; the more, the finer the distortion; in [2, 32]."""
    magnitude: float = Field(default=0.03, gt=0, le=0.2)
    """Standard deviation of a node's displacement along each axis, as a share of the image's side; in (0, 0.2]."""

    def grid(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Every pixel's own place, displaced, (batch, height, width, 2)."""
        size = images.shape[2:]
        draws = np.stack([np.random.default_rng(seed).normal(size=(2, self.nodes, self.nodes)) for seed in seeds])
        nodes = torch.from_numpy(2 * self.magnitude * draws).to(images)  # coordinates run from -1 to 1
        displaced = functional.interpolate(nodes, size=[*size], mode="bicubic", align_corners=True)
        unmoved = torch.eye(2, 3).expand(len(images), 2, 3).to(images)
        places = functional.affine_grid(unmoved, [*images.shape], align_corners=False)
        return places + displaced.permute(0, 2, 3, 1)
