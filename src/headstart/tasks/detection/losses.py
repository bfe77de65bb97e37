"""The losses of detection by points, each as sums over the points of a batch.

- `focal` (Lin et al. 2017): the sum over points and classes of -a (1 - p)^2 log p, with p the probability given to the
  truth, a = 1/4 where that is the class and 3/4 where it is none; divided by the number of points with a box.
- `giou` (Rezatofighi et al. 2019): 1 - IoU + (hull - union) / hull of the predicted and the true box, a mean over the
  points with a box, weighted by their true centreness.
- `centreness` (FCOS, Tian et al. 2019): the cross-entropy against sqrt(min(l, r) / max(l, r) x min(t, b) / max(t, b)),
  with l, t, r and b the distances to the edges; a mean over the points with a box.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from headstart.contracts.task import Tensors
from headstart.tasks.detection.point_targets import assign, classes_of

LEAST_WEIGHT = 1e-6
"""Of all points together: pictures without boxes have none."""


def sums_of(outputs: Tensors, boxes: Tensor) -> Tensors:
    """The sums that the losses of a batch are made of, each (2,): a numerator and a denominator.

    Args:
        outputs: as of `PointHead`. boxes: (batch, boxes, 6 + more), see `boxes.py`.
    """
    boxes = boxes.to(outputs["boxes"])
    assigned = assign(outputs["points"], boxes)
    picture, point = torch.nonzero(assigned.box >= 0, as_tuple=True)
    true = boxes[picture, assigned.box[picture, point], :4]
    found, count = outputs["boxes"][picture, point], true.new_tensor(float(len(true)))
    middle = centreness(outputs["points"][picture, point, :2].to(true), true)
    classes = classes_of(assigned, boxes, outputs["scores"].shape[2])
    focal = (sigmoid_focal_loss(outputs["scores"], classes) * ~assigned.ignored[..., None]).sum()
    giou = (generalized_box_iou_loss(found, true) * middle).sum()
    centred = functional.binary_cross_entropy_with_logits(
        outputs["centreness"][picture, point], middle, reduction="sum"
    )
    pairs = {"focal": (focal, count), "giou": (giou, middle.sum()), "centreness": (centred, count)}
    return {name: torch.stack(pair) for name, pair in pairs.items()}


def losses_of(sums: Tensors) -> Tensors:
    """The terms, each a scalar."""
    least = {"focal": 1.0, "giou": LEAST_WEIGHT, "centreness": 1.0}
    return {name: total / weight.clamp(min=least[name]) for name, (total, weight) in sums.items()}


def centreness(points: Tensor, boxes: Tensor) -> Tensor:
    """(points,) in [0, 1] of points (points, 2) in their boxes (points, 4); 0 outside."""
    first, last = points - boxes[:, :2], boxes[:, 2:] - points
    shares = torch.minimum(first, last) / torch.maximum(first, last)
    return shares.clamp(min=0).prod(dim=1).sqrt()
