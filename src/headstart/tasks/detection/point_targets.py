"""Assignment of boxes to points, as FCOS has it (Tian et al. 2019, with the centre sampling of its second edition).

A cell learns the smallest box in whose middle its point lies - at most 1.5 strides from the centre, and inside - and
whose farthest edge is as far as its level is for: up to `REACH` strides, from half of that on in all but the finest
level, and without end in the coarsest. A box that no point of its level meets is learnt by the nearest point of the
finest one, which the paper leaves out. Any other cell is background, or nothing at all within a crowd.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from headstart.tasks.detection.boxes import CLASS, CROWD

RADIUS = 1.5
"""Strides from a box's centre within which points learn it."""
REACH = 8.0
"""Strides from a point to the farthest edge of a box that its level is for."""


class Assigned(NamedTuple):
    """Boxes that the points of each picture learn."""

    box: Tensor
    """(batch, points) int64: the number of its box, -1 without one."""
    ignored: Tensor
    """(batch, points) bool: whether it learns nothing, as it lies in a crowd."""


def assign(points: Tensor, boxes: Tensor) -> Assigned:
    """Assign boxes to points.

    Args:
        points: (batch, points, 3): across, down and stride of each; the same in all pictures.
        boxes: (batch, boxes, 6 + more), see `boxes.py`; rows of NaN are none.
    """
    places = points[0].to(boxes)
    if not boxes.shape[1]:
        shape, device = points.shape[:2], points.device
        return Assigned(torch.full(shape, -1, device=device), torch.zeros(shape, dtype=torch.bool, device=device))
    real, crowd = boxes[..., :4].isfinite().all(dim=2), boxes[..., CROWD] == 1
    distances = edges_from(places, boxes)
    inside = (distances > 0).all(dim=3)
    objects = (real & ~crowd)[:, None]
    fits = inside & _in_the_middle(places, boxes) & _of_its_level(places, distances.amax(dim=3)) & objects
    fits = fits | _nearest(places, boxes, objects & ~fits.any(dim=1, keepdim=True))
    areas = _areas(boxes).masked_fill(~real, torch.inf)
    smallest = torch.where(fits, areas[:, None], torch.inf).min(dim=2)
    found = torch.where(smallest.values.isfinite(), smallest.indices, -1)
    return Assigned(found, (inside & (real & crowd)[:, None]).any(dim=2) & (found < 0))


def edges_from(points: Tensor, boxes: Tensor) -> Tensor:
    """Distances (batch, points, boxes, 4) of points (points, 3) to left, top, right and bottom; negative outside."""
    first = points[None, :, None, :2] - boxes[:, None, :, :2]
    last = boxes[:, None, :, 2:4] - points[None, :, None, :2]
    return torch.cat([first, last], dim=3)


def _in_the_middle(points: Tensor, boxes: Tensor) -> Tensor:
    """Return which points are near the centres of boxes, (batch, points, boxes)."""
    return _from_centre(points, boxes).amax(dim=3) < RADIUS * points[None, :, None, 2]


def _of_its_level(points: Tensor, farthest: Tensor) -> Tensor:
    """Return which boxes are as large as the levels of points are for, (batch, points, boxes)."""
    stride = points[:, 2]
    least = torch.where(stride == stride.min(), 0.0, REACH / 2 * stride)[None, :, None]
    most = torch.where(stride == stride.max(), torch.inf, REACH * stride)[None, :, None]
    return (farthest > least) & (farthest <= most)


def _nearest(points: Tensor, boxes: Tensor, missed: Tensor) -> Tensor:
    """The finest level's point nearest to the centre of each missed box, (batch, points, boxes)."""
    away = _from_centre(points, boxes).norm(dim=3)
    finest = (points[:, 2] == points[:, 2].min())[None, :, None]
    first = torch.where(finest & away.isfinite(), away, torch.inf).argmin(dim=1, keepdim=True)
    return torch.zeros_like(missed.expand_as(away)).scatter(1, first, missed)


def _from_centre(points: Tensor, boxes: Tensor) -> Tensor:
    """(batch, points, boxes, 2) >= 0: across and down."""
    centres = (boxes[..., :2] + boxes[..., 2:4]) / 2
    return (points[None, :, None, :2] - centres[:, None]).abs()


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:4] - boxes[..., :2]).prod(dim=2)


def classes_of(assigned: Assigned, boxes: Tensor, classes: int) -> Tensor:
    """The classes that points learn, (batch, points, classes) of 0 and 1."""
    if not boxes.shape[1]:
        return torch.zeros(*assigned.box.shape, classes, device=boxes.device)
    numbers = boxes[..., CLASS].nan_to_num().long().gather(1, assigned.box.clamp(min=0))
    return torch.nn.functional.one_hot(numbers, classes).float() * (assigned.box >= 0)[..., None]
