"""Boxes under every augmentation that moves pictures: against the pixels that moved, longhands, and torchvision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as vision
from torchvision.tv_tensors import BoundingBoxes

from headstart.augmentations.affine import Affine
from headstart.augmentations.crop import Crop
from headstart.augmentations.elastic import Elastic
from headstart.augmentations.flip import Flip
from headstart.augmentations.trivial import GEOMETRY, LEVELS, Trivial
from headstart.contracts.carriers import State
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.inputs import Pixels
from headstart.contracts.placed_targets import Boxes

HEIGHT, WIDTH = 96, 120
PIXELS = Pixels(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
BOX = [30.0, 20.0, 74.0, 61.0]
ALL = Boxes(least_visible=0.0, least_side=0.0)


def moved(augmentation: Any, boxes: list[list[float]], seed: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Tensor:
    return ALL.moved(torch.tensor([boxes], dtype=torch.float64), augmentation, [seed], size)[0]


def of_torchvision(boxes: list[list[float]]) -> BoundingBoxes:
    return BoundingBoxes(torch.tensor(boxes, dtype=torch.float64), format="XYXY", canvas_size=(HEIGHT, WIDTH))  # type: ignore[call-arg]


def around(picture: Tensor) -> Tensor | None:
    """The smallest box around the bright pixels of (height, width)."""
    rows, columns = (picture > 0.5).nonzero().unbind(dim=1)
    if not len(rows):
        return None
    ends = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return torch.tensor([float(end) for end in ends], dtype=torch.float64)


MOVING = {
    "flip": (Flip(vertical=True), 1e-9),
    "crop": (Crop(scale=(0.4, 1.0)), 1.0),
    "affine": (Affine(rotation=25.0), 1.5),
    "elastic": (Elastic(), 1.5),
    "trivial": (Trivial(strength=0.3, pixels=PIXELS), 1.5),
}


@pytest.mark.parametrize("name", MOVING)
def test_a_moved_box_lies_around_the_pixels_that_it_held(name: str) -> None:
    augmentation, within = MOVING[name]
    pixels = torch.zeros(1, 3, HEIGHT, WIDTH)
    pixels[:, :, 20:61, 30:74] = 1.0
    compared = 0
    for seed in range(60):
        if name == "trivial" and moved(augmentation, [BOX], seed)[0].tolist() == BOX:  # colours
            continue
        view = augmentation.view(State(pixels), [seed]).hidden[0, 0]
        found, expected = moved(augmentation, [BOX], seed)[0], around(view)
        assert expected is not None
        torch.testing.assert_close(found, expected, atol=within, rtol=0)
        compared += 1
    assert compared >= 15


def test_quarter_turns_of_a_square() -> None:
    flip = Flip(horizontal=False, quarter_turns=True)
    pixels = torch.zeros(1, 3, WIDTH, WIDTH)
    pixels[:, :, 20:61, 30:74] = 1.0
    for seed in range(12):
        view = flip.view(State(pixels), [seed]).hidden[0, 0]
        assert moved(flip, [BOX], seed, (WIDTH, WIDTH))[0].tolist() == around(view).tolist()  # type: ignore[union-attr]


def test_flips_are_torchvisions() -> None:
    for seed in range(12):
        across, down, _ = np.random.default_rng(seed).integers((2, 2, 4)).tolist()
        expected = of_torchvision([BOX, [0.0, 5.0, 9.5, 6.5]])
        expected = vision.horizontal_flip(expected) if across else expected
        expected = vision.vertical_flip(expected) if down else expected
        found = moved(Flip(vertical=True), [BOX, [0.0, 5.0, 9.5, 6.5]], seed)
        torch.testing.assert_close(found, torch.as_tensor(expected))


def test_crops_are_torchvisions() -> None:
    """Of boxes that leave the picture torchvision keeps what lies outside until they are clamped."""
    crop, boxes = Crop(scale=(0.2, 0.8)), [BOX, [0.0, 0.0, 120.0, 96.0], [50.0, 40.0, 52.0, 43.0]]
    for seed in range(20):
        draws = np.random.default_rng(seed)
        area, ratio = HEIGHT * WIDTH * draws.uniform(0.2, 0.8), math.exp(draws.uniform(*np.log((3 / 4, 4 / 3))))
        draws.random()
        wide, high = min(WIDTH, round(math.sqrt(area * ratio))), min(HEIGHT, round(math.sqrt(area / ratio)))
        top, left = int(draws.integers(HEIGHT - high + 1)), int(draws.integers(WIDTH - wide + 1))
        resized = vision.resized_crop(of_torchvision(boxes), top, left, high, wide, [HEIGHT, WIDTH])
        expected, found = torch.as_tensor(vision.clamp_bounding_boxes(resized)), moved(crop, boxes, seed)
        seen = found.isfinite().all(dim=1)
        torch.testing.assert_close(found[seen], expected[seen])
        sides = expected[:, 2:] - expected[:, :2]
        assert torch.equal(seen, (sides > 0).all(dim=1))


def seed_of(operation: str, augmentation: Trivial) -> tuple[int, float]:
    """The first seed that draws the operation with some strength, and its magnitude."""
    for seed in range(2000):
        names = 9 + len(GEOMETRY)
        which, level, minus = np.random.default_rng(seed).integers((names, LEVELS + 1, 2)).tolist()
        if which == 9 + [*GEOMETRY].index(operation) and level > 9:
            return seed, GEOMETRY[operation] * augmentation.strength * level / LEVELS * (1 - 2 * minus)
    raise AssertionError(operation)


@pytest.mark.parametrize("operation", GEOMETRY)
def test_trivial_operations_are_torchvisions(operation: str) -> None:
    trivial = Trivial(strength=0.4, pixels=PIXELS)
    seed, magnitude = seed_of(operation, trivial)
    boxes, slope = of_torchvision([BOX]), math.degrees(math.atan(magnitude))
    expected = {
        "shear_x": lambda: vision.affine(boxes, 0.0, [0, 0], 1.0, [slope, 0.0], center=[0, 0]),
        "shear_y": lambda: vision.affine(boxes, 0.0, [0, 0], 1.0, [0.0, slope], center=[0, 0]),
        "shift_x": lambda: vision.affine(boxes, 0.0, [int(magnitude * WIDTH), 0], 1.0, [0.0, 0.0]),
        "shift_y": lambda: vision.affine(boxes, 0.0, [0, int(magnitude * HEIGHT)], 1.0, [0.0, 0.0]),
        "turn": lambda: vision.rotate(boxes, magnitude),
    }[operation]()
    clamped = vision.clamp_bounding_boxes(expected)
    torch.testing.assert_close(moved(trivial, [BOX], seed)[0], torch.as_tensor(clamped)[0], atol=1e-4, rtol=0)


def test_an_affine_view_maps_corners_by_the_longhand() -> None:
    affine = Affine(shift=0.2, zoom=0.3, rotation=60.0)
    for seed in range(20):
        turn, zoom, across, down = np.random.default_rng(seed).uniform(-1, 1, 4)
        angle, scale = math.radians(60.0 * turn), 1 + 0.3 * zoom
        # in pixels from the middle: a place of the view -> where it comes from
        matrix = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        shift, middle = np.array([0.2 * across * WIDTH, 0.2 * down * HEIGHT]), np.array([WIDTH / 2, HEIGHT / 2])
        corners = np.array([[BOX[0], BOX[1]], [BOX[2], BOX[1]], [BOX[2], BOX[3]], [BOX[0], BOX[3]]])
        places = np.linalg.solve(matrix, (corners - middle - shift).T).T + middle
        ends = np.concatenate([places.min(axis=0), places.max(axis=0)]).clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        np.testing.assert_allclose(moved(affine, [BOX], seed)[0].numpy(), ends, atol=1e-9)


def test_points_of_an_elastic_view_come_from_where_they_were() -> None:
    """Looked up in the grid that pixels come from, a moved point is the point again."""
    elastic, seeds = Elastic(), list(range(50))
    points = torch.rand(50, 30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = points * torch.tensor([WIDTH, HEIGHT])
    places = elastic.move_points(points, seeds, (HEIGHT, WIDTH))
    grid = elastic.grid(torch.zeros(50, 1, HEIGHT, WIDTH, dtype=torch.float64), seeds)
    half = torch.tensor([WIDTH / 2, HEIGHT / 2], dtype=torch.float64)
    inside = ((places > 0.5) & (places < 2 * half - 0.5)).all(dim=2)
    back = torch.nn.functional.grid_sample(
        grid.permute(0, 3, 1, 2), (places / half - 1)[:, None], padding_mode="border", align_corners=False
    )
    torch.testing.assert_close(((back[:, :, 0].mT + 1) * half)[inside], points[inside], atol=1e-3, rtol=0)
    assert inside.float().mean() > 0.8


def test_boxes_that_mostly_leave_the_picture_are_dropped_and_the_others_keep_their_rows() -> None:
    class Right(Flip):
        """Everything moves by half of the width."""

        def move_points(self, points: Tensor, seeds: Any, size: Any) -> Tensor:
            return points + torch.tensor([size[1] / 2, 0.0])

    boxes = torch.tensor(
        [
            [[10.0, 10, 30, 30, 3], [50, 10, 70, 30, 1], [58, 10, 78, 30, 2], [80, 10, 90, 20, 1]],
            [[0.0, 0, 59.5, 50, 7], [59.5, 0, 60, 50, 4], [math.nan] * 5, [math.nan] * 5],
        ]
    )
    found = Boxes().moved(boxes, Right(), [0, 0], (HEIGHT, WIDTH))
    kept = found.isfinite().all(dim=2)
    assert kept.tolist() == [[True, True, True, False], [True, False, False, False]]
    assert found[0, :3].tolist() == [[70, 10, 90, 30, 3], [110, 10, 120, 30, 1], [118, 10, 120, 30, 2]]
    assert not found[~kept].isfinite().any()
    stricter = Boxes(least_visible=0.6).moved(boxes, Right(), [0, 0], (HEIGHT, WIDTH))
    assert stricter.isfinite().all(dim=2).sum() == 2


def test_parts_of_a_composition_move_boxes_in_turn() -> None:
    both = composed("crop+flip", {"crop.scale": (0.3, 0.6)}).bind(PIXELS, 10)
    pixels = torch.zeros(8, 3, HEIGHT, WIDTH)
    pixels[:, :, 20:61, 30:74] = 1.0
    seeds, boxes = list(range(8)), torch.tensor([[BOX]] * 8, dtype=torch.float64)
    views, found = both.view(State(pixels), seeds).hidden[:, 0], both.move(ALL, boxes, seeds, (HEIGHT, WIDTH))
    expected = [around(view) for view in views]
    assert sum(box is not None for box in expected) >= 6
    for box, place in zip(found[:, 0], expected):
        if place is not None:
            torch.testing.assert_close(box, place, atol=1.0, rtol=0)
