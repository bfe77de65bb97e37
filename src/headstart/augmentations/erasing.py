"""Random erasing: a box of each picture is filled with noise, so that no single part decides (Zhong et al. 2020).

Of a picture of area A the box has the area s A and the shape r (height / width): s uniform in [0.02, 1/3], log r
uniform between those of 0.3 and its inverse. Noise is normal with the mean and variance of normalised pixels; the
paper draws each pixel from [0, 255].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.target_movement import Size
from headstart.contracts.targets import PADDED_TARGET

ASPECT = 0.3
"""Least height / width of a box; the greatest is its inverse."""


class Erasing(InputViews):
    """A box filled with noise."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)

    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the views in which a box is erased; in (0, 1]."""
    least: float = Field(default=0.02, gt=0, lt=1)
    """Smallest box, as a share of the picture's area; in (0, 1)."""
    most: float = Field(default=1 / 3, gt=0, lt=1)
    """Largest box, as a share of the picture's area; in (0, 1); not below `least`."""
    fill: Literal["noise", "mean"] = "noise"
    """What a box is filled with: normal noise in each pixel, or the mean colour of the pretraining pictures."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least = {self.least:g} is more than most = {self.most:g}")
        return self

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, channels, height, width), normalised."""
        images = state.hidden.clone()
        for image, seed in zip(images, seeds):
            box, draws = self._box(seed, *image.shape[1:])
            part = image[:, box.rows, box.columns]
            noise = draws.standard_normal(tuple(part.shape), np.float32) if self.fill == "noise" else 0.0
            part.copy_(torch.as_tensor(noise))
        return State(images, state.context, state.taps)

    def move_maps(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:
        """Maps (batch, height, width) that say nothing (`PADDED_TARGET`) where there is nothing to see."""
        maps = maps.clone()
        for classes, seed in zip(maps, seeds):
            box, _ = self._box(seed, *classes.shape)
            classes[box.rows, box.columns] = PADDED_TARGET
        return maps

    def move_points(self, points: Tensor, seeds: Sequence[int], size: Size) -> Tensor:  # noqa: ARG002
        """Return the same points (batch, points, 2): they are where they were, seen or not."""
        return points

    def _box(self, seed: int, height: int, width: int) -> tuple[_Box, np.random.Generator]:
        """The box, empty where nothing is erased, and what draws the noise."""
        draws = np.random.default_rng(seed)
        erases = draws.random() < self.share
        area = height * width * draws.uniform(self.least, self.most) * erases
        aspect = math.exp(draws.uniform(math.log(ASPECT), -math.log(ASPECT)))
        high = min(height, round(math.sqrt(area * aspect)))
        wide = min(width, round(math.sqrt(area / aspect)))
        top, left = draws.integers((height - high + 1, width - wide + 1)).tolist()
        return _Box(slice(top, top + high), slice(left, left + wide)), draws


class _Box(NamedTuple):
    rows: slice
    columns: slice
