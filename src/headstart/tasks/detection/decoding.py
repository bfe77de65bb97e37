"""From the outputs of a head to the boxes of each picture: the likeliest of all cells, without those found twice.

The score of a box is sqrt(p(class) x centreness), as in FCOS. Boxes of one class that overlap a likelier one are left
out (non-maximum suppression, per class); each picture keeps the `most` likeliest, with low scores too, since average
precision counts them in order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from headstart.contracts.task import Tensors

CANDIDATES = 1000
"""Of each picture, before suppression."""


def decode(outputs: Tensors, frames: Tensor, floor: float, overlap: float, most: int) -> np.ndarray:
    """The boxes of each picture, (pictures,) of (boxes, 6) float64, the likeliest first; see `boxes.py`.

    Args:
        outputs: as of `PointHead`.
        frames: (pictures, 4): width and height of each picture, and the pixels across and down that it has in
            its frame.
        floor: least score. overlap: IoU from which on the less likely of two boxes of a class is left out.
        most: boxes of a picture.
    """
    scores = scores_of(outputs)
    found = np.empty(len(scores), dtype=object)
    for row, (of_cells, boxes, frame) in enumerate(zip(scores, outputs["boxes"], frames)):
        found[row] = _of_picture(of_cells, boxes, frame, floor, overlap, most)
    return found


def decode_scored(found: np.ndarray, sizes: np.ndarray, floor: float, overlap: float, most: int) -> np.ndarray:
    """The same of boxes that any model has scored.

    Args:
        found: (pictures,) of (boxes, 4 + classes): edges over the picture itself, and probabilities.
        sizes: (pictures, 2) width and height. floor, overlap, most: as of `decode`.
    """
    kept = np.empty(len(found), dtype=object)
    for row, (boxes, size) in enumerate(zip(found, sizes)):
        edges, frame = torch.from_numpy(boxes[:, :4]), torch.from_numpy(np.tile(size, 2))
        kept[row] = _of_picture(torch.from_numpy(boxes[:, 4:]), edges, frame, floor, overlap, most)
    return kept


def scores_of(outputs: Tensors) -> Tensor:
    """(pictures, points, classes): sqrt(p(class) x centreness) of the box of every point."""
    return (outputs["scores"].sigmoid() * outputs["centreness"].sigmoid()[..., None]).sqrt()


def _of_picture(scores: Tensor, boxes: Tensor, frame: Tensor, floor: float, overlap: float, most: int) -> np.ndarray:
    """Of one picture: scores (cells, classes), boxes (cells, 4) over its frame."""
    flat = scores.flatten()
    candidates = torch.nonzero(flat >= floor)[:, 0]
    if len(candidates) > CANDIDATES:
        candidates = candidates[flat[candidates].topk(CANDIDATES).indices]
    classes, chosen, likely = candidates % scores.shape[1], boxes[candidates // scores.shape[1]], flat[candidates]
    size, inside = frame[:2].double(), frame[2:].double()
    own = chosen.double() * (size / inside).repeat(2)
    own = own.clamp(min=0).minimum(size.repeat(2))
    kept = batched_nms(own.float(), likely.float(), classes, overlap)
    kept = kept[((own[kept, 2:] - own[kept, :2]) > 0).all(dim=1)][:most]
    columns = (own[kept], likely[kept, None].double(), classes[kept, None].double())
    return torch.cat(columns, dim=1).cpu().numpy()
