"""Codes: features that simple methods find in data without labels, as modules without a gradient.

`Projection` is what principal components are, a linear map. `Triangle` are the codes of k-means by Coates, Ng & Lee
2011 ("An analysis of single-layer networks in unsupervised feature learning"): how much nearer than the mean a centroid
is,

    f_k(x) = max(0, mean_j |x - c_j| - |x - c_k|).

`PatchCodes` has them of every patch of a picture, in equal contrast and whitened, added up in its four quarters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PATCH, STRIDE = 6, 2
"""Pixels of a patch along each axis, and from one to the next."""

CONTRAST = 10.0
"""Added to the variance of a patch's pixels in [0, 255], so that flat ones are not blown up."""


class Projection(nn.Module):
    """(inputs - mean) @ directions"""

    def __init__(self, mean: Tensor, directions: Tensor) -> None:
        """`mean` (numbers,), `directions` (numbers, width)."""
        super().__init__()
        self.mean: Tensor
        self.directions: Tensor
        self.register_buffer("mean", mean.float())
        self.register_buffer("directions", directions.float())

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, ...) of as many numbers each -> (batch, width)"""
        return (inputs.flatten(1).float() - self.mean) @ self.directions


class Triangle(nn.Module):
    """Codes that say how much nearer than the mean each centroid is."""

    def __init__(self, centroids: Tensor) -> None:
        """`centroids` (number, width)"""
        super().__init__()
        self.centroids: Tensor
        self.register_buffer("centroids", centroids.float())

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., width) -> (..., number), >= 0"""
        distances = torch.cdist(vectors, self.centroids)
        return nn.functional.relu(distances.mean(dim=-1, keepdim=True) - distances)


class PatchCodes(nn.Module):
    """The codes of a picture's patches, added up in its four quarters."""

    def __init__(self, whitening: Projection, triangle: Triangle) -> None:
        """Of patches as `patches` has them."""
        super().__init__()
        self.whitening, self.triangle = whitening, triangle

    def forward(self, pictures: Tensor) -> Tensor:
        """(batch, height, width, 3) in [0, 255] -> (batch, 4 * centroids)"""
        cut = patches(pictures)
        batch, down, across, numbers = cut.shape
        codes = self.triangle(self.whitening(cut.reshape(-1, numbers))).reshape(batch, down, across, -1)
        halves = [half for rows in codes.tensor_split(2, dim=1) for half in rows.tensor_split(2, dim=2)]
        return torch.cat([half.sum(dim=(1, 2)) for half in halves], dim=1)


def patches(pictures: Tensor) -> Tensor:
    """(batch, height, width, 3) in [0, 255] -> (batch, down, across, numbers): every patch in equal contrast."""
    windows = pictures.float().unfold(1, PATCH, STRIDE).unfold(2, PATCH, STRIDE).flatten(3)
    centred = windows - windows.mean(dim=3, keepdim=True)
    return centred / (windows.var(dim=3, keepdim=True) + CONTRAST).sqrt()
