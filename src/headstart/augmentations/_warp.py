"""Views whose every pixel comes from another place of the same image: what differs between them is the grid."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State


class Warp(InputViews):
    """Resamples each image once, through a grid of its own; outside the image its border is repeated."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, channels, height, width) resampled, bilinear."""
        grid = self.grid(state.hidden, seeds)
        moved = functional.grid_sample(state.hidden, grid, padding_mode="border", align_corners=False)
        return State(moved, state.context, state.taps)

    def move_maps(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:
        """`maps` (batch, height, width) by the same grid, each cell from the nearest one."""
        values = maps[:, None].double()  # exact for whole numbers
        grid = self.grid(values, seeds)
        moved = functional.grid_sample(values, grid, mode="nearest", padding_mode="border", align_corners=False)
        return moved[:, 0].to(maps.dtype)

    @abstractmethod
    def grid(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Where each pixel of `images` (batch, channels, height, width) comes from.

        (batch, height, width, 2): across and down, from -1 to 1 between the image's outer edges.
        """
