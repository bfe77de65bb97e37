"""Detection as a set (DETR, Carion et al. 2020): a pretrained detector's own decoder, its classes exchanged.

The decoder's queries each say one box or none, so that nothing is suppressed afterwards. All its layers are told apart
here, as each of them learns; the last one counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.task import Tensors

LAYERS = "layers"
"""Output (batch,): the number of layers, which only this head has."""


class SetHead(nn.Module):
    """Maps -> scores and boxes of the queries of each layer."""

    def __init__(self, decoder: nn.Module, stride: int) -> None:
        """Take a decoder as of `contracts.backbone.FindsBoxes`, and the stride of the finest map that it reads."""
        super().__init__()
        self.decoder, self.stride = decoder, stride

    def forward(self, maps: Sequence[Tensor]) -> Tensors:
        """Maps (batch, channels, height, width) -> outputs, in float32 whatever the precision: boxes are fine.

        Returns:
            "scores" (batch, layers, queries, classes) as logits; "boxes" (batch, layers, queries, 4): centre across and
            down, width and height as shares of the frame; "side" (batch,): the frame's, in pixels; "layers" (batch,).
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            scores, boxes = self.decoder([level.float() for level in maps])
        side = scores.new_full((len(scores),), float(maps[0].shape[2] * self.stride))
        return {"scores": scores, "boxes": boxes, "side": side, LAYERS: torch.full_like(side, scores.shape[1])}


def corners(boxes: Tensor) -> Tensor:
    """Centre and size (..., 4) -> left, top, right and bottom."""
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def decode_sets(outputs: Tensors, frames: Tensor, floor: float, most: int) -> np.ndarray:
    """The boxes of each picture, (pictures,) of (boxes, 6) float64, the likeliest first; see `boxes.py`.

    A query may say several classes, as in the library's own post-processing: the likeliest pairs of both are kept.

    Args:
        outputs: as of `SetHead`. frames: as of `decoding.decode`. floor: least score. most: boxes of a picture.
    """
    scores, boxes = outputs["scores"][:, -1].sigmoid(), corners(outputs["boxes"][:, -1]).double()
    classes, found = scores.shape[2], np.empty(len(scores), dtype=object)
    for row, (of_queries, places, frame) in enumerate(zip(scores, boxes, frames.double())):
        best = of_queries.flatten().topk(min(most, of_queries.numel()))
        kept = best.values >= floor
        likely, number = best.values[kept, None].double(), best.indices[kept]
        own = places[number // classes] * outputs["side"][row] * (frame[:2] / frame[2:]).repeat(2)
        own = own.clamp(min=0).minimum(frame[:2].repeat(2))
        columns = torch.cat([own, likely, (number % classes)[:, None].double()], dim=1)
        found[row] = columns[((own[:, 2:] - own[:, :2]) > 0).all(dim=1)].cpu().numpy()
    return found
