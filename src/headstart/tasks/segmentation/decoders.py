"""Decoders: from a backbone's maps of several strides to class scores of every pixel.

- `UNet` (Ronneberger et al. 2015): from the coarsest map upwards, enlarge, lay the backbone's own map of that stride
  beside it, two 3x3 convolutions. The coarsest map is first narrowed by a 1x1 convolution.
- `FPN` (Kirillov et al. 2019, "Panoptic Feature Pyramid Networks"): every map to one width by a 1x1 convolution, added
  from coarse to fine, each level brought to the finest size, and the sum read.
- `Linear`: a 1x1 convolution of every map, brought to the finest size and added: a linear map of the hypercolumn of
  each pixel (Hariharan et al. 2015), as enlarging and weighing may change places.

Scores are computed at the finest map's stride, at stride 2 by `UNet`, and enlarged bilinearly.

Why not the decoders of segmentation-models-pytorch: they are parts of its models, made for the list of maps that its
encoders give, with the picture itself and a map at every halving of it. These take the maps that a backbone has, be it
a single one of stride 32, and as they come from the store.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts.features import MapShape

WIDTHS = (16, 32, 64, 128, 256)
"""Channels of the U-Net at strides 2, 4, 8, 16, 32; coarser maps have as many as stride 32."""
PYRAMID, MERGED = 128, 64
"""Channels of the pyramid and of what is read from it."""
START_SCALE = 0.01
"""Standard deviation of the weights that give scores: small, so that training starts from equal probabilities."""


class UNet(nn.Module):
    """Maps, finest first -> (batch, classes, side, side)."""

    def __init__(self, maps: Sequence[MapShape], classes: int) -> None:
        """For maps of the given shapes."""
        super().__init__()
        coarsest = maps[-1]
        width = _width(coarsest.stride)
        self.narrow = _block(coarsest.channels, width, kernel=1)
        blocks = []
        for shape in reversed(maps[:-1]):
            blocks.append(nn.Sequential(_block(width + shape.channels, _width(shape.stride)), *_second(shape.stride)))
            width = _width(shape.stride)
        self.up = nn.ModuleList(blocks)
        self.finer = maps[0].stride > 2
        self.last = nn.Sequential(_block(width, WIDTHS[0]), *_second(2)) if self.finer else nn.Identity()
        self.scores = _scores(WIDTHS[0] if self.finer else width, classes)

    def forward(self, maps: Sequence[Tensor], side: int) -> Tensor:
        """Levels (batch, channels, height, width) -> (batch, classes, side, side)."""
        hidden = self.narrow(maps[-1])
        for block, skip in zip(self.up, reversed(maps[:-1])):
            hidden = functional.interpolate(hidden, skip.shape[2:], mode="nearest")
            hidden = block(torch.cat([hidden, skip], dim=1))
        if self.finer:
            hidden = functional.interpolate(hidden, (side // 2, side // 2), mode="nearest")
        return _enlarged(self.scores(self.last(hidden)), side)


class FPN(nn.Module):
    """Maps, finest first -> (batch, classes, side, side)."""

    def __init__(self, maps: Sequence[MapShape], classes: int) -> None:
        """For maps of the given shapes; those of stride 2 are left out where there are coarser ones."""
        super().__init__()
        self.first = 1 if len(maps) > 1 and maps[0].stride < 4 else 0
        self.lateral = nn.ModuleList(nn.Conv2d(shape.channels, PYRAMID, 1) for shape in maps[self.first :])
        self.merge = nn.ModuleList(_block(PYRAMID, MERGED) for _ in maps[self.first :])
        self.scores = _scores(MERGED, classes)

    def forward(self, maps: Sequence[Tensor], side: int) -> Tensor:
        """Levels (batch, channels, height, width) -> (batch, classes, side, side)."""
        levels = [lateral(level) for lateral, level in zip(self.lateral, maps[self.first :])]
        for k in reversed(range(len(levels) - 1)):
            levels[k] = levels[k] + functional.interpolate(levels[k + 1], levels[k].shape[2:], mode="nearest")
        finest = levels[0].shape[2:]
        merged = [
            functional.interpolate(merge(level), finest, mode="bilinear", align_corners=False)
            for merge, level in zip(self.merge, levels)
        ]
        return _enlarged(self.scores(torch.stack(merged).sum(dim=0)), side)


class Linear(nn.Module):
    """Maps, finest first -> (batch, classes, side, side)."""

    def __init__(self, maps: Sequence[MapShape], classes: int) -> None:
        """For maps of the given shapes."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, sum(shape.channels for shape in maps)))
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.normal_(self.weight, std=START_SCALE)

    def forward(self, maps: Sequence[Tensor], side: int) -> Tensor:
        """Levels (batch, channels, height, width) -> (batch, classes, side, side)."""
        parts = self.weight.split([level.shape[1] for level in maps], dim=1)
        scores = torch.zeros(())
        for level, part in zip(maps, parts):
            of_level = functional.conv2d(level, part[:, :, None, None])
            enlarged = functional.interpolate(of_level, maps[0].shape[2:], mode="bilinear", align_corners=False)
            scores = scores.to(enlarged) + enlarged
        return _enlarged(scores + self.bias[:, None, None], side)


DECODERS: dict[str, type[UNet] | type[FPN] | type[Linear]] = {"unet": UNet, "fpn": FPN, "linear": Linear}


def _block(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _second(stride: int) -> nn.Sequential:
    return _block(_width(stride), _width(stride))


def _width(stride: int) -> int:
    return WIDTHS[min(max(stride.bit_length() - 2, 0), len(WIDTHS) - 1)]


def _scores(width: int, classes: int) -> nn.Conv2d:
    scores = nn.Conv2d(width, classes, 1, bias=False)
    nn.init.normal_(scores.weight, std=START_SCALE)
    return scores


def _enlarged(scores: Tensor, side: int) -> Tensor:
    return functional.interpolate(scores, (side, side), mode="bilinear", align_corners=False)
