"""Mirror images and quarter turns, each by the toss of a coin: only where orientation carries no part of the label.

A mirrored cat is a cat, a mirrored letter, number plate or left hand is something else. So nothing flips unless you
name this augmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.target_movement import Size
from headstart.kernel.errors import SettingsError


class Flip(InputViews):
    """Left and right exchanged; up and down and quarter turns where you say so."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)

    horizontal: bool = True
    """Whether left and right are exchanged in half of the views."""
    vertical: bool = False
    """Whether up and down are exchanged in half of the views: pictures from above, or through a microscope."""
    quarter_turns: bool = False
    """Whether square pictures are turned by 0, 90, 180 or 270 degrees."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.horizontal or self.vertical or self.quarter_turns):
            raise ValueError("flip would do nothing: turn on horizontal, vertical or quarter_turns")
        return self

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, channels, height, width), no pixel changed. Raises SettingsError."""
        return State(self._flipped(state.hidden, seeds), state.context, state.taps)

    def move_maps(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:
        """Maps (batch, height, width), alike."""
        return self._flipped(maps, seeds)

    def move_points(self, points: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return points (batch, points, 2), alike. Raises SettingsError."""
        height, width = size
        draws, (x, y) = torch.from_numpy(self._draws(seeds, height, width)).to(points.device), points.unbind(dim=2)
        across, down, turns = draws.T[:, :, None]
        x = torch.where((across == 1) & self.horizontal, width - x, x)
        y = torch.where((down == 1) & self.vertical, height - y, y)
        for turn in range(3 * self.quarter_turns):
            turned = turns > turn
            x, y = torch.where(turned, y, x), torch.where(turned, width - x, y)
        return torch.stack([x, y], dim=2)

    def _flipped(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        draws = self._draws(seeds, *images.shape[-2:])
        for axis, allowed, drawn in ((-1, self.horizontal, draws[:, 0]), (-2, self.vertical, draws[:, 1])):
            if allowed:
                mirrored = torch.from_numpy(drawn == 1).to(images.device).view(-1, *[1] * (images.ndim - 1))
                images = torch.where(mirrored, images.flip(axis), images)
        if self.quarter_turns:
            images = torch.stack([torch.rot90(one, int(turns), (-2, -1)) for one, turns in zip(images, draws[:, 2])])
        return images

    def _draws(self, seeds: Sequence[int], height: int, width: int) -> np.ndarray:
        """(examples, 3): whether left and right, and up and down, are exchanged, and how many quarters are turned."""
        if self.quarter_turns and height != width:
            raise SettingsError(
                f"augmentation.flip.quarter_turns: pictures of {width} x {height} pixels are not square and cannot be"
                " turned by 90 degrees. Leave it off, or use affine for small turns."
            )
        return np.array([np.random.default_rng(seed).integers((2, 2, 4)) for seed in seeds])
