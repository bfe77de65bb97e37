"""Points, their boxes and the three losses of detection, written out point by point."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.tasks.detection.losses import losses_of, sums_of
from headstart.tasks.detection.point_head import points_of
from headstart.tasks.detection.point_targets import assign

STRIDES, SIDE, CLASSES = (8, 16, 32), 128, 3


def pictures(seed: int, crowds: bool = True) -> Tensor:
    """(3, 7, 10): boxes of all sizes, a crowd among them, and rows of NaN; the last picture has none."""
    draws = np.random.default_rng(seed)
    found = np.full((3, 7, 10), np.nan)
    for row, count in enumerate((7, 4, 0)):
        sides = np.exp(draws.uniform(math.log(3), math.log(110), (count, 2)))
        first = draws.uniform(0, SIDE - sides)
        found[row, :count, :4] = np.concatenate([first, first + sides], axis=1)
        found[row, :count, 4] = draws.integers(0, CLASSES, count)
        found[row, :count, 5] = crowds & (np.arange(count) == 1)
    return torch.from_numpy(found)


def points() -> Tensor:
    of_levels = [points_of(SIDE // stride, SIDE // stride, stride) for stride in STRIDES]
    return torch.cat(of_levels).expand(3, -1, -1)


def assigned_longhand(boxes: np.ndarray) -> tuple[dict[tuple[int, int], int], set[tuple[int, int]]]:
    """(picture, point) -> box, and the points that learn nothing."""
    learnt: dict[tuple[int, int], int] = {}
    ignored = set()
    places = points()[0].numpy()
    for row, some in enumerate(boxes):
        wanted: dict[int, list[int]] = {}
        for number, (left, top, right, bottom, _, crowd, *_) in enumerate(some):
            if math.isnan(left) or crowd:
                continue
            middle, fitting = ((left + right) / 2, (top + bottom) / 2), []
            for at, (x, y, stride) in enumerate(places):
                edges = (x - left, y - top, right - x, bottom - y)
                near = max(abs(x - middle[0]), abs(y - middle[1])) < 1.5 * stride
                low = 0 if stride == STRIDES[0] else 4 * stride
                high = math.inf if stride == STRIDES[-1] else 8 * stride
                if min(edges) > 0 and near and low < max(edges) <= high:
                    fitting.append(at)
            if not fitting:
                finest = [at for at, (_, _, stride) in enumerate(places) if stride == STRIDES[0]]
                fitting = [min(finest, key=lambda at: math.dist(places[at][:2], middle))]
            for at in fitting:
                wanted.setdefault(at, []).append(number)
        for at, numbers in wanted.items():
            areas = [(some[k][2] - some[k][0]) * (some[k][3] - some[k][1]) for k in numbers]
            learnt[row, at] = numbers[int(np.argmin(areas))]
        for left, top, right, bottom, _, crowd, *_ in some:
            if crowd == 1:
                inside = [at for at, (x, y, _) in enumerate(places) if left < x < right and top < y < bottom]
                ignored |= {(row, at) for at in inside if (row, at) not in learnt}
    return learnt, ignored


def outputs(seed: int) -> dict[str, Tensor]:
    """Outputs of a head in double precision, boxes with a few that miss the true ones."""
    torch.manual_seed(seed)
    places = points().double()
    distances = torch.exp(torch.randn(3, places.shape[1], 4, dtype=torch.float64)) * places[..., 2:]
    boxes = torch.cat([places[..., :2] - distances[..., :2], places[..., :2] + distances[..., 2:]], dim=2)
    scores = torch.randn(3, places.shape[1], CLASSES, dtype=torch.float64)
    found = {"scores": scores, "boxes": boxes, "centreness": torch.randn(3, places.shape[1], dtype=torch.float64)}
    return {**{name: value.requires_grad_() for name, value in found.items()}, "points": places}


def losses_longhand(found: dict[str, Tensor], boxes: np.ndarray) -> dict[str, Tensor]:
    learnt, ignored = assigned_longhand(boxes)
    focal, giou, centreness = [], [], []
    weights = 0.0
    for row in range(3):
        for at in range(found["scores"].shape[1]):
            if (row, at) in ignored:
                continue
            true_class = int(boxes[row, learnt[row, at], 4]) if (row, at) in learnt else -1
            for k in range(CLASSES):
                p = torch.sigmoid(found["scores"][row, at, k])
                right = p if k == true_class else 1 - p
                focal.append(-(0.25 if k == true_class else 0.75) * (1 - right) ** 2 * right.log())
    for (row, at), number in learnt.items():
        left, top, right, bottom = boxes[row, number, :4]
        x, y, _ = found["points"][row, at].tolist()
        edges = [x - left, right - x, y - top, bottom - y]
        true_middle = 0.0
        if min(edges) >= 0:
            shares = [min(edges[:2]) / max(edges[:2]), min(edges[2:]) / max(edges[2:])]
            true_middle = math.sqrt(shares[0] * shares[1])
        a, b, c, d = found["boxes"][row, at]
        across = (torch.clamp(c, max=right) - torch.clamp(a, min=left)).clamp(min=0)
        down = (torch.clamp(d, max=bottom) - torch.clamp(b, min=top)).clamp(min=0)
        union = (c - a) * (d - b) + (right - left) * (bottom - top) - across * down
        hull = (torch.clamp(c, min=right) - torch.clamp(a, max=left)) * (
            torch.clamp(d, min=bottom) - torch.clamp(b, max=top)
        )
        giou.append(true_middle * (1 - across * down / union + (hull - union) / hull))
        weights += true_middle
        q = torch.sigmoid(found["centreness"][row, at])
        centreness.append(-true_middle * q.log() - (1 - true_middle) * (1 - q).log())
    number = len(learnt)
    return {
        "focal": torch.stack(focal).sum() / number,
        "giou": torch.stack(giou).sum() / weights,
        "centreness": torch.stack(centreness).sum() / number,
    }


@pytest.mark.parametrize("seed", range(4))
def test_points_learn_the_boxes_that_the_rules_give_them(seed: int) -> None:
    boxes = pictures(seed)
    learnt, ignored = assigned_longhand(boxes.numpy())
    found = assign(points(), boxes)
    assert {(row, at): int(found.box[row, at]) for row, at in (found.box >= 0).nonzero().tolist()} == learnt
    assert {(row, at) for row, at in found.ignored.nonzero().tolist()} == ignored
    held = {(row, number) for (row, _), number in learnt.items()}
    objects = {tuple(pair) for pair in (boxes[..., 5] == 0).nonzero().tolist()}
    assert held <= objects and len(held) >= len(objects) - 1  # one may lie wholly under a smaller one


@pytest.mark.parametrize("seed", range(2))
def test_losses_and_gradients_are_those_written_out(seed: int) -> None:
    boxes = pictures(seed)
    mine, theirs = outputs(seed), outputs(seed)
    losses, longhand = losses_of(sums_of(mine, boxes)), losses_longhand(theirs, boxes.numpy())
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(longhand[name].item(), rel=1e-6), name
    sum(losses.values()).backward()
    sum(longhand.values()).backward()
    for name in ("scores", "boxes", "centreness"):
        assert torch.allclose(mine[name].grad, theirs[name].grad, rtol=1e-6, atol=1e-9), name


def test_pictures_without_a_box_have_finite_losses_and_no_gradient_of_places() -> None:
    found = outputs(0)
    losses = losses_of(sums_of(found, torch.full((3, 0, 10), math.nan)))
    sum(losses.values()).backward()
    assert losses["giou"] == losses["centreness"] == 0 and losses["focal"] > 0
    assert not found["boxes"].grad.any() and found["scores"].grad.isfinite().all()
