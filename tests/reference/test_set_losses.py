"""The losses of detection as a set and its assignment, beside those of transformers; its boxes beside the library's."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import RTDetrImageProcessor
from transformers.loss.loss_deformable_detr import DeformableDetrHungarianMatcher, DeformableDetrImageLoss

from headstart.tasks.detection.set_head import decode_sets
from headstart.tasks.detection.set_losses import losses_of_sets, sums_of_sets

SIDE, LAYERS, QUERIES, CLASSES = 128.0, 3, 9, 4


def outputs(seed: int) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    shape = (3, LAYERS, QUERIES)
    boxes = torch.rand(*shape, 4, generator=draws, dtype=torch.float64) * 0.4 + 0.2
    scores = torch.randn(*shape, CLASSES, generator=draws, dtype=torch.float64)
    return {
        "scores": scores.requires_grad_(),
        "boxes": boxes.requires_grad_(),
        "side": torch.full((3,), SIDE, dtype=torch.float64),
        "layers": torch.full((3,), LAYERS),
    }


def truths(seed: int) -> Tensor:
    """(3, 6, 10), with a crowd and rows of NaN; the last picture has none."""
    draws = np.random.default_rng(seed)
    found = np.full((3, 6, 10), math.nan)
    for row, count in enumerate((6, 3, 0)):
        sides = draws.uniform(8, 90, (count, 2))
        first = draws.uniform(0, SIDE - sides)
        found[row, :count, :4] = np.concatenate([first, first + sides], axis=1)
        found[row, :count, 4] = draws.integers(0, CLASSES, count)
        found[row, :count, 5] = np.arange(count) == 1
    return torch.from_numpy(found)


def theirs(found: dict[str, Tensor], boxes: Tensor) -> dict[str, Tensor]:
    labels = []
    for row in boxes:
        real = row[(row[:, 5] == 0)]
        middle, size = (real[:, :2] + real[:, 2:4]) / 2 / SIDE, (real[:, 2:4] - real[:, :2]) / SIDE
        labels.append({"class_labels": real[:, 4].long(), "boxes": torch.cat([middle, size], dim=1)})
    matcher = DeformableDetrHungarianMatcher(class_cost=2, bbox_cost=5, giou_cost=2)
    criterion = DeformableDetrImageLoss(matcher, CLASSES, 0.25, ["labels", "boxes"])
    total: dict[str, Any] = {"class": 0.0, "place": 0.0, "giou": 0.0}
    for layer in range(LAYERS):
        losses = criterion({"logits": found["scores"][:, layer], "pred_boxes": found["boxes"][:, layer]}, labels)
        for name, key, weight in (("class", "loss_ce", 1), ("place", "loss_bbox", 5), ("giou", "loss_giou", 2)):
            total[name] = total[name] + weight * losses[key]
    return total


@pytest.mark.parametrize("seed", range(3))
def test_losses_and_gradients_are_those_of_the_library(seed: int) -> None:
    mine, others, boxes = outputs(seed), outputs(seed), truths(seed)
    losses, expected = losses_of_sets(sums_of_sets(mine, boxes)), theirs(others, boxes)
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=1e-6), name
    torch.as_tensor(sum(losses.values())).backward()
    torch.as_tensor(sum(expected.values())).backward()
    for name in ("scores", "boxes"):
        assert torch.allclose(mine[name].grad, others[name].grad, rtol=1e-6, atol=1e-9), name


def test_without_a_box_only_classes_are_learnt() -> None:
    found = outputs(0)
    losses = losses_of_sets(sums_of_sets(found, torch.full((3, 0, 10), math.nan)))
    torch.as_tensor(sum(losses.values())).backward()
    assert losses["place"] == losses["giou"] == 0 < losses["class"] and not found["boxes"].grad.any()


def test_boxes_are_those_of_the_library() -> None:
    found = {name: value.detach().float() for name, value in outputs(0).items()}
    last = SimpleNamespace(logits=found["scores"][:, -1], pred_boxes=found["boxes"][:, -1])
    sizes = torch.tensor([[200, 200], [64, 64], [128, 128]])
    processor = RTDetrImageProcessor()
    expected = processor.post_process_object_detection(last, threshold=0.5, target_sizes=sizes)
    frames = torch.cat([sizes, torch.full((3, 2), int(SIDE))], dim=1)
    for boxes, one, (width, _) in zip(decode_sets(found, frames, 0.5, QUERIES), expected, sizes.tolist()):
        assert np.allclose(boxes[:, :4], one["boxes"].clamp(0, width), atol=1e-3)
        assert np.allclose(boxes[:, 4], one["scores"])
        assert boxes[:, 5].tolist() == one["labels"].tolist()
