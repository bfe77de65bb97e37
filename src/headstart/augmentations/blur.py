"""Gaussian blur of random width in some of the views (Chen et al. 2020).

The standard deviation is drawn evenly, in the paper from 0.1 to 2 pixels of 224; here it is a share of the side, for a
pixel is much of a small picture. Its greatest value is 0.7 pixels at least; below a third of a pixel nothing happens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from headstart.augmentations._draws import uniform
from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State

LEAST_PIXELS = 1 / 3
"""A narrower bell has less than a hundredth of its weight beside its middle."""

LEAST_GREATEST = 0.7
"""Pixels that the greatest standard deviation has in the smallest picture, so that something is seen of it."""

REACH = 2.5
"""Standard deviations at which the bell is cut off."""


class Blur(InputViews):
    """Pictures out of focus."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    moves: ClassVar[bool] = False

    sigma: tuple[float, float] = (0.1 / 224, 2 / 224)
    """Least and greatest standard deviation, as a share of the shorter side; >= 0."""
    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the views that are blurred; in (0, 1]."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 <= self.sigma[0] <= self.sigma[1] or not self.sigma[1]:
            raise ValueError(f"sigma = {self.sigma}: expected two numbers >= 0, the smaller first")
        return self

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, channels, height, width); beyond the border the picture is mirrored."""
        hidden, draws = state.hidden, torch.from_numpy(uniform(seeds, 2))
        least, greatest = (share * min(hidden.shape[2:]) for share in self.sigma)
        sigma = least + (max(greatest, LEAST_GREATEST) - least) * draws[:, 0]
        rows = torch.nonzero((draws[:, 1] < self.share) & (sigma >= LEAST_PIXELS)).flatten()
        if not len(rows):
            return state
        blurred = hidden.clone()
        blurred[rows] = _blurred(hidden[rows], sigma[rows].to(hidden))
        return State(blurred, state.context, state.taps)


def _blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """(batch, channels, height, width), each by a bell of its own standard deviation (batch,) in pixels."""
    count, channels, height, width = images.shape
    reach = min(math.ceil(REACH * float(sigma.max())), min(height, width) - 1)
    places = torch.arange(-reach, reach + 1).to(images)
    bells = torch.exp(-0.5 * (places / sigma[:, None]) ** 2)
    bells = (bells / bells.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    planes = functional.pad(images.contiguous(), [reach] * 4, mode="reflect").view(
        1, count * channels, -1, width + 2 * reach
    )
    planes = functional.conv2d(planes, bells[:, None, :, None], groups=count * channels)
    return functional.conv2d(planes, bells[:, None, None, :], groups=count * channels).view(images.shape)
