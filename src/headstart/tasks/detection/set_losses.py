"""The losses of detection as a set (DETR, Carion et al. 2020), with the classes of Deformable DETR (Zhu et al. 2021).

Each true box is learnt by one query, those of a picture together by the least sum of 2 x class + 5 x L1 + 2 x (-GIoU),
where class = 1/4 (1 - p)^2 (-log p) - 3/4 p^2 (-log(1 - p)) for the probability p of the box's class. Then

- `class`: focal loss (Lin et al. 2017) over all queries and classes;
- `place`: 5 x the L1 distance of centre, width and height as shares of the frame, of the queries with a box;
- `giou`: 2 x (1 - GIoU) of these,

each a sum over all layers, with an assignment of its own for each, divided by the number of true boxes. The library's
losses of RT-DETR and D-FINE weigh classes by the IoU, and D-FINE's learns distributions of edges besides; neither is
done here. Crowds are left out, as the library leaves them out.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou, generalized_box_iou_loss, sigmoid_focal_loss

from headstart.contracts.task import Tensors
from headstart.tasks.detection.boxes import CLASS, CROWD
from headstart.tasks.detection.set_head import corners

COSTS = (2.0, 5.0, 2.0)
"""Of class, place and GIoU where queries are assigned."""
TINY = 1e-12
"""Beside an area: those of small boxes, as shares of a frame, are a millionth."""
WEIGHTS = {"class": 1.0, "place": 5.0, "giou": 2.0}


def sums_of_sets(outputs: Tensors, boxes: Tensor) -> Tensors:
    """The sums that the losses of a batch are made of, each (2,): a numerator and the number of true boxes.

    Args:
        outputs: as of `SetHead`. boxes: (batch, boxes, 6 + more), see `boxes.py`.
    """
    truth = [_truth(of_picture, side) for of_picture, side in zip(boxes.to(outputs["boxes"]), outputs["side"])]
    count = outputs["boxes"].new_tensor(float(sum(len(classes) for classes, _ in truth)))
    totals = {name: count.new_zeros(()) for name in WEIGHTS}
    for row, (classes, places) in enumerate(truth):
        for scores, found in zip(outputs["scores"][row], outputs["boxes"][row]):
            query, box = assigned(scores.detach(), found.detach(), classes, places)
            learnt = torch.zeros_like(scores)
            learnt[query, classes[box]] = 1.0
            totals["class"] = totals["class"] + sigmoid_focal_loss(scores, learnt).sum()
            totals["place"] = totals["place"] + functional.l1_loss(found[query], places[box], reduction="sum")
            pairs = corners(found[query]), corners(places[box])
            totals["giou"] = totals["giou"] + generalized_box_iou_loss(*pairs, reduction="sum", eps=TINY)
    return {name: torch.stack([weight * totals[name], count]) for name, weight in WEIGHTS.items()}


def losses_of_sets(sums: Tensors) -> Tensors:
    """The terms, each a scalar."""
    return {name: total / count.clamp(min=1.0) for name, (total, count) in sums.items()}


def assigned(scores: Tensor, found: Tensor, classes: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """The queries that learn a box, and which.

    Args:
        scores: (queries, classes) logits. found: (queries, 4). classes: (boxes,). places: (boxes, 4).
    """
    p = scores.sigmoid()[:, classes].clamp(1e-8, 1 - 1e-7)
    of_class = -0.25 * (1 - p) ** 2 * p.log() + 0.75 * p**2 * (1 - p).log()
    parts = (of_class, torch.cdist(found, places, p=1), -generalized_box_iou(corners(found), corners(places)))
    cost = sum(weight * part for weight, part in zip(COSTS, parts))
    query, box = linear_sum_assignment(np.nan_to_num(torch.as_tensor(cost).cpu().numpy(), nan=1e6))
    return torch.as_tensor(query, device=scores.device), torch.as_tensor(box, device=scores.device)


def _truth(boxes: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Classes (boxes,) and centre and size (boxes, 4), as shares of the frame, of a picture's boxes."""
    real = boxes[boxes[:, :4].isfinite().all(dim=1) & (boxes[:, CROWD] == 0)]
    first, last = real[:, :2] / side, real[:, 2:4] / side
    return real[:, CLASS].long(), torch.cat([(first + last) / 2, last - first], dim=1)
