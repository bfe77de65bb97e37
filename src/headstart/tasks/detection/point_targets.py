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
        points: (batch, points, 3): across, down and stride of each, level by level and row by row as of `points_of`;
            the same in all pictures.
        boxes: (batch, boxes, 6 + more), see `boxes.py`; rows of NaN are none.
    """
    places = points[0].to(boxes)
    if not boxes.shape[1]:
        shape, device = points.shape[:2], points.device
        return Assigned(torch.full(shape, -1, device=device), torch.zeros(shape, dtype=torch.bool, device=device))
    real, crowd = boxes[..., :4].isfinite().all(dim=2), boxes[..., CROWD] == 1
    found = _smallest(places, boxes[..., :4], real & ~crowd)
    ignored = torch.zeros_like(found, dtype=torch.bool)
    if bool((real & crowd).any()):
        inside = (_edges_from(places[:, None], boxes[:, None, :, :4]) > 0).all(dim=3)
        ignored = (inside & (real & crowd)[:, None]).any(dim=2) & (found < 0)
    return Assigned(found, ignored)


def _smallest(places: Tensor, edges: Tensor, objects: Tensor) -> Tensor:
    """The smallest of the boxes (batch, boxes, 4) that are objects for each of the places (points, 3); -1 for none."""
    edges = edges.where(objects[..., None], 0.0)
    levels = _levels(places)
    near = torch.cat([_cells_near(level, edges) for level in levels], dim=2)
    at = places[near.clamp(min=0)]
    distances = _edges_from(at, edges[:, :, None])
    fits = (near >= 0) & (distances > 0).all(dim=3) & _in_the_middle(at, edges) & _of_its_level(places, at, distances)
    fits &= objects[..., None]
    missed = objects[..., None] & ~fits.any(dim=2, keepdim=True)
    near = torch.cat([near, _cell_nearest(levels[0], edges)], dim=2).clamp(min=0)
    fits = torch.cat([fits, missed], dim=2)
    by_area = (edges[..., 2:] - edges[..., :2]).prod(dim=2).argsort(dim=1, stable=True)
    boxes = edges.shape[1]
    rank = torch.where(fits, by_area.argsort(dim=1)[..., None], boxes).flatten(1)
    least = rank.new_full((len(edges), len(places)), boxes).scatter_reduce(1, near.flatten(1), rank, "amin")
    return torch.where(least < boxes, by_area.gather(1, least.clamp(max=boxes - 1)), -1)


class _Level(NamedTuple):
    """A grid of points within all."""

    first: int
    rows: int
    columns: int
    stride: float


def _levels(places: Tensor) -> list[_Level]:
    """The levels of points (points, 3), finest first."""
    found, first = [], 0
    strides, counts = (values.tolist() for values in places[:, 2].unique_consecutive(return_counts=True))
    for stride, count in zip(strides, counts):
        columns = int((places[first : first + count, 1] == places[first, 1]).sum())
        found.append(_Level(first, count // columns, columns, stride))
        first += count
    return found


def _cells_near(level: _Level, edges: Tensor) -> Tensor:
    """The points (batch, boxes, 9) of the cell that the centre of each box lies in and of those around; -1 outside."""
    steps = torch.arange(-1, 2, device=edges.device)
    across, down = (at[..., None].floor().long() + steps for at in _centres(level, edges))
    inside = ((across >= 0) & (across < level.columns))[..., None, :] & ((down >= 0) & (down < level.rows))[..., None]
    return torch.where(inside, level.first + down[..., None] * level.columns + across[..., None, :], -1).flatten(2)


def _cell_nearest(level: _Level, edges: Tensor) -> Tensor:
    """The point (batch, boxes, 1) nearest to the centre of each box."""
    across, down = (at.ceil().long() - 1 for at in _centres(level, edges))
    row, column = down.clamp(0, level.rows - 1), across.clamp(0, level.columns - 1)
    return (level.first + row * level.columns + column)[..., None]


def _centres(level: _Level, edges: Tensor) -> tuple[Tensor, ...]:
    """Across and down (batch, boxes), in strides."""
    return ((edges[..., :2] + edges[..., 2:]) / 2 / level.stride).unbind(dim=2)


def _edges_from(points: Tensor, edges: Tensor) -> Tensor:
    """Distances (..., 4) of points (..., 3) to left, top, right and bottom of boxes (..., 4); negative outside."""
    return torch.cat([points[..., :2] - edges[..., :2], edges[..., 2:] - points[..., :2]], dim=-1)


def _in_the_middle(points: Tensor, edges: Tensor) -> Tensor:
    """Return which points (batch, boxes, some, 3) are near the centres of their boxes (batch, boxes, 4)."""
    centres = (edges[..., :2] + edges[..., 2:]) / 2
    return (points[..., :2] - centres[:, :, None]).abs().amax(dim=3) < RADIUS * points[..., 2]


def _of_its_level(places: Tensor, points: Tensor, distances: Tensor) -> Tensor:
    """Return which boxes, by their distances (..., 4), are as large as the levels of their points (..., 3) are for."""
    stride, farthest = points[..., 2], distances.amax(dim=3)
    least = torch.where(stride == places[0, 2], 0.0, REACH / 2 * stride)
    most = torch.where(stride == places[-1, 2], torch.inf, REACH * stride)
    return (farthest > least) & (farthest <= most)


def classes_of(assigned: Assigned, boxes: Tensor, classes: int) -> Tensor:
    """The classes that points learn, (batch, points, classes) of 0 and 1."""
    if not boxes.shape[1]:
        return torch.zeros(*assigned.box.shape, classes, device=boxes.device)
    numbers = boxes[..., CLASS].nan_to_num().long().gather(1, assigned.box.clamp(min=0))
    return torch.nn.functional.one_hot(numbers, classes).float() * (assigned.box >= 0)[..., None]
