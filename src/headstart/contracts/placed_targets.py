"""The house's kinds of targets with a place in a picture, which move with it: class maps and boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from headstart.contracts.target_kinds import Numbers
from headstart.contracts.target_movement import MovesMaps, MovesPoints, Size

BOX_CLASS, BOX_CROWD, BOX_OWN = 4, 5, slice(6, 10)
"""Columns of `Boxes` behind the edges over the prepared picture: the class, whether it is a crowd (1) or an object (0),
and the edges in pixels of the picture itself."""

EDGE_POINTS = 8
"""Points that stand for each edge of a box: a warp bends edges."""


@dataclass(frozen=True)
class ClassMaps(Numbers):
    """A class for each pixel of the prepared picture: (batch, height, width) whole numbers."""

    title: str = "class maps"
    whole: bool = True
    axes: tuple[int, ...] = (3,)
    placed: ClassVar[bool] = True
    additive: bool = True

    def movable(self, augmentation: object) -> bool:
        """One that moves maps."""
        return isinstance(augmentation, MovesMaps)

    def moved(self, values: Tensor, augmentation: MovesMaps, seeds: Sequence[int], size: Size) -> Tensor:
        """Return the moved maps. Raises ValueError where they are of another size than the pictures."""
        if tuple(values.shape[1:]) != tuple(size):
            raise ValueError(f"class maps of {tuple(values.shape[1:])} pixels lie over pictures of {tuple(size)}")
        return augmentation.move_maps(values, seeds)

    def pasted(self, values: Tensor, others: Tensor, box: tuple[slice, slice]) -> Tensor:
        """Return the maps (batch, height, width) with the box of `others`."""
        found = values.clone()
        found[:, box[0], box[1]] = others[:, box[0], box[1]]
        return found


@dataclass(frozen=True)
class Boxes(Numbers):
    """Boxes over the prepared picture: (batch, boxes, 4 + more) floats: left, top, right and bottom in pixels.

    More columns, such as the class, travel with their box. A moved box is the smallest upright one around what it held,
    clipped to the picture. One that mostly leaves the picture is dropped: its row becomes NaN, as padding is, and all
    others keep their rows.
    """

    title: str = "boxes"
    whole: bool = False
    axes: tuple[int, ...] = (3,)
    placed: ClassVar[bool] = True

    least_visible: float = 0.1
    """Share of a moved box's area that must lie in the picture; in [0, 1]."""
    least_side: float = 1.0
    """Pixels that both sides of a clipped box must have; >= 0."""

    def movable(self, augmentation: object) -> bool:
        """One that moves points without folding."""
        return isinstance(augmentation, MovesPoints) and augmentation.one_to_one

    def moved(self, values: Tensor, augmentation: MovesPoints, seeds: Sequence[int], size: Size) -> Tensor:
        """Return the boxes (batch, boxes, 4 + more), dropped ones as NaN."""
        outlines = _outlines(values[..., :4])
        points = augmentation.move_points(outlines.flatten(1, 2), seeds, size).view_as(outlines)
        first, last = points.amin(dim=2), points.amax(dim=2)
        limit = values.new_tensor([size[1], size[0]])
        start, stop = (torch.minimum(ends.clamp(min=0), limit) for ends in (first, last))
        sides = stop - start
        visible = sides.prod(dim=2) / (last - first).prod(dim=2)
        kept = (sides >= self.least_side).all(dim=2) & (visible >= self.least_visible)
        return torch.cat([start, stop, values[..., 4:]], dim=2).where(kept[..., None], math.nan)


def _outlines(boxes: Tensor) -> Tensor:
    """Points on the edges of boxes (batch, boxes, 4): (batch, boxes, points, 2)."""
    steps = torch.linspace(0, 1, EDGE_POINTS + 1, dtype=boxes.dtype, device=boxes.device)[:-1]
    ones, zeros = torch.ones_like(steps), torch.zeros_like(steps)
    across = torch.cat([steps, ones, 1 - steps, zeros])
    down = torch.cat([zeros, steps, ones, 1 - steps])
    left, top, right, bottom = (boxes[..., k, None] for k in range(4))
    # exact at both ends, so that an unmoved box keeps its numbers
    return torch.stack([left * (1 - across) + right * across, top * (1 - down) + bottom * down], dim=3)
