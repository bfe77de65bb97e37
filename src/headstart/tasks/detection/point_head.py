"""Detection by points (FCOS, Tian et al. 2019): every cell of every level says class, edges and centreness of a box.

The backbone's maps are brought to one width by 1x1 convolutions and added from coarse to fine (Lin et al. 2017, FPN).
Two towers, one for classes and one for edges and centreness, are shared by all levels. The distances to the four edges
are exp(scale x output) x stride, with a scale for each level that is learnt. Unlike in the paper a tower is two
depthwise 3x3 convolutions, each before a 1x1 one, with GroupNorm, for it learns from few pictures and on a CPU; and
what is predicted is read by 1x1 convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts.features import MapShape
from headstart.contracts.task import Tensors

GROUPS = 8
"""Of GroupNorm: each has a mean and a variance of its own."""
PRIOR = 0.01
"""Probability of an object in every cell before anything is learnt, so that the background does not drown the rest."""
START_SCALE = 0.01
"""Standard deviation of the weights that predictions are read by."""
MOST_EXPONENT = 8.0
"""Of the distances to edges: nothing is wider than e^8 strides."""


class PointHead(nn.Module):
    """Maps, finest first -> scores, boxes and centreness of each cell, all levels one after the other."""

    def __init__(self, maps: Sequence[MapShape], strides: Sequence[int], width: int, classes: int) -> None:
        """For the levels of some strides; one that is coarser than all maps is made of the next finer level.

        Args:
            maps: shapes of all the backbone's maps, finest first. strides: of the levels, ascending.
            width: channels of every level. classes: predicted for each cell.
        """
        super().__init__()
        self.strides = tuple(strides)
        self.chosen = [k for k, shape in enumerate(maps) if shape.stride in strides]
        self.lateral = nn.ModuleList(_pointwise(maps[k].channels, width) for k in self.chosen)
        further = len(strides) - len(self.chosen)
        self.coarser = nn.ModuleList(_separable(width, stride=2) for _ in range(further))
        self.classes, self.places = _tower(width), _tower(width)
        self.scores, self.edges, self.centreness = (_read(width, n) for n in (classes, 4, 1))
        self.scales = nn.Parameter(torch.ones(len(strides)))
        nn.init.constant_(_bias(self.scores), math.log(PRIOR / (1 - PRIOR)))

    def forward(self, maps: Sequence[Tensor]) -> Tensors:
        """Maps (batch, channels, height, width) -> outputs of all cells.

        Returns:
            "scores" (batch, cells, classes) and "centreness" (batch, cells) as logits, "boxes" (batch, cells, 4) in
            pixels, and "points" (batch, cells, 3): across, down and stride of each cell.
        """
        levels = self._levels(maps)
        parts = [self._of(level, stride, scale) for level, stride, scale in zip(levels, self.strides, self.scales)]
        return {name: torch.cat([part[name] for part in parts], dim=1) for name in parts[0]}

    def _levels(self, maps: Sequence[Tensor]) -> list[Tensor]:
        levels = [lateral(maps[k]) for lateral, k in zip(self.lateral, self.chosen)]
        for k in reversed(range(len(levels) - 1)):
            levels[k] = levels[k] + functional.interpolate(levels[k + 1], levels[k].shape[2:], mode="nearest")
        for coarser in self.coarser:
            levels.append(coarser(levels[-1]))
        return levels

    def _of(self, level: Tensor, stride: int, scale: Tensor) -> dict[str, Tensor]:
        """One level (batch, width, height, width)."""
        seen, placed = self.classes(level), self.places(level)
        points = points_of(level.shape[2], level.shape[3], stride).to(level.device)
        distances = (scale * _cells(self.edges(placed)).float()).clamp(max=MOST_EXPONENT).exp() * stride
        first, last = points[:, :2] - distances[..., :2], points[:, :2] + distances[..., 2:]
        return {
            "scores": _cells(self.scores(seen)).float(),
            "centreness": _cells(self.centreness(placed)).float()[..., 0],
            "boxes": torch.cat([first, last], dim=2),
            "points": points.expand(level.shape[0], -1, -1),
        }


class _Norm(nn.GroupNorm):
    """GroupNorm computed in float32: in bfloat16 its gradient takes three times as long on a CPU."""

    def forward(self, level: Tensor) -> Tensor:
        return super().forward(level.float())


def points_of(rows: int, columns: int, stride: int) -> Tensor:
    """The middle of each cell of a level, (rows x columns, 3): across, down, stride; row by row."""
    down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    middles = (torch.stack([across, down], dim=2).flatten(0, 1) + 0.5) * stride
    return torch.cat([middles, torch.full((len(middles), 1), float(stride))], dim=1)


def _cells(level: Tensor) -> Tensor:
    """(batch, channels, height, width) -> (batch, cells, channels)."""
    return level.flatten(2).transpose(1, 2)


def _pointwise(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), _Norm(GROUPS, outputs))


def _separable(width: int, stride: int = 1) -> nn.Sequential:
    depthwise = nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False)
    return nn.Sequential(depthwise, *_pointwise(width, width), nn.SiLU())


def _tower(width: int) -> nn.Sequential:
    return nn.Sequential(_separable(width), _separable(width))


def _read(width: int, outputs: int) -> nn.Conv2d:
    read = nn.Conv2d(width, outputs, 1)
    nn.init.normal_(read.weight, std=START_SCALE)
    nn.init.zeros_(_bias(read))
    return read


def _bias(layer: nn.Conv2d) -> Tensor:
    if layer.bias is None:
        raise TypeError("the layer has no bias")
    return layer.bias
