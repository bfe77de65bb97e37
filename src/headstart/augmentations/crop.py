"""Random resized crops: a part of each picture, drawn by area and shape, resized to the whole (Szegedy et al. 2015).

Of a picture of area A a box of area s A and shape r (width / height) is cut out at a random place, s uniform, log r
uniform; a side that would be longer than the picture's is cut to it. The paper draws s from [0.08, 1]; from pretrained
weights less is better, as a small part often lacks what the label is about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as vision

from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.target_movement import Size


class Crop(InputViews):
    """Random resized crops."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)

    scale: tuple[float, float] = (0.35, 1.0)
    """Least and greatest share of the picture's area that is kept; in (0, 1]."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Least and greatest width / height of what is kept; > 0."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Share of the views that are cropped; in (0, 1]."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale = {self.scale}: expected two shares in (0, 1], the smaller first")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio = {self.ratio}: expected two numbers above 0, the smaller first")
        return self

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """A box of each of the pictures `state.hidden` (batch, channels, height, width), bilinear."""
        images = state.hidden
        height, width = images.shape[2:]
        boxes = torch.tensor([self._box(seed, height, width) for seed in seeds], dtype=torch.float64)
        rows = _places(boxes[:, 0], boxes[:, 2], height).to(images)
        columns = _places(boxes[:, 1], boxes[:, 3], width).to(images)
        shape = (-1, height, width)
        grid = torch.stack([columns[:, None].expand(*shape), rows[:, :, None].expand(*shape)], dim=3)
        # the whole batch at once, which is what resizing each box by itself comes to
        cropped = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
        return State(cropped, state.context, state.taps)

    def move_maps(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:
        """The same boxes of maps (batch, height, width), each cell from the nearest one."""
        exact = maps[:, None].double()  # whole numbers stay what they are
        size = [*maps.shape[1:]]
        boxes = (self._box(seed, *size) for seed in seeds)
        nearest = InterpolationMode.NEAREST_EXACT
        cropped = [vision.resized_crop(one, *box, size, nearest) for one, box in zip(exact, boxes)]
        return torch.stack(cropped)[:, 0].to(maps.dtype)

    def move_points(self, points: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return points (batch, points, 2) as they lie over the same boxes resized."""
        height, width = size
        boxes = points.new_tensor([self._box(seed, height, width) for seed in seeds])[:, None]
        return (points - boxes[..., [1, 0]]) * points.new_tensor([width, height]) / boxes[..., [3, 2]]

    def _box(self, seed: int, height: int, width: int) -> _Box:
        draws = np.random.default_rng(seed)
        area = height * width * draws.uniform(*self.scale)
        ratio = math.exp(draws.uniform(*np.log(self.ratio)))
        if draws.random() >= self.share:
            return _Box(0, 0, height, width)
        wide = min(width, max(1, round(math.sqrt(area * ratio))))
        high = min(height, max(1, round(math.sqrt(area / ratio))))
        return _Box(int(draws.integers(height - high + 1)), int(draws.integers(width - wide + 1)), high, wide)


def _places(first: Tensor, length: Tensor, size: int) -> Tensor:
    """Where each of `size` pixels of a resized box lies along an axis of the picture, (boxes, size) in [-1, 1].

    `first` and `length` (boxes,) are in pixels; what is beyond the box's outermost pixels is taken from these.
    """
    step = (torch.arange(size, dtype=first.dtype) + 0.5) / size
    pixels = first[:, None] + length[:, None] * step - 0.5
    last = first + length - 1
    inside = torch.minimum(torch.maximum(pixels, first[:, None]), last[:, None])
    return (2 * inside + 1) / size - 1


class _Box(NamedTuple):
    top: int
    left: int
    height: int
    width: int
