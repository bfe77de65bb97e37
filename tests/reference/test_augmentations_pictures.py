"""Views of single pictures against torchvision's own transforms and their longhand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from headstart.augmentations.crop import Crop
from headstart.augmentations.erasing import Erasing
from headstart.augmentations.flip import Flip
from headstart.augmentations.trivial import COLOUR, GEOMETRY, LEVELS, Trivial
from headstart.contracts.carriers import State
from headstart.contracts.inputs import Pixels
from headstart.contracts.targets import PADDED_TARGET

PIXELS = Pixels(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

OFFICIAL = {
    "identity": "Identity",
    "brightness": "Brightness",
    "colour": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterise": "Posterize",
    "solarise": "Solarize",
    "autocontrast": "AutoContrast",
    "equalise": "Equalize",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "shift_x": "TranslateX",
    "shift_y": "TranslateY",
    "turn": "Rotate",
}
"""Our name of an operation -> torchvision's."""


def picture(seed: int, side: int = 224) -> Tensor:
    """(3, side, side) uint8 with structure of several sizes."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 7, 7, generator=generator)
    smooth = functional.interpolate(coarse, (side, side), mode="bilinear")[0]
    return ((smooth * 0.8 + 0.1 + 0.05 * torch.randn(3, side, side, generator=generator)).clamp(0, 1) * 255).to(
        torch.uint8
    )


def normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (PIXELS.mean, PIXELS.std))
    return (images.float() / 255 - mean) / std


class Chosen(v2.TrivialAugmentWide):
    """torchvision's TrivialAugment with its draws made by hand."""

    def __init__(self, name: str, level: int, sign: int) -> None:
        super().__init__()
        self.chosen, self.level, self.sign = name, level, sign

    def _get_random_item(self, dct: Any) -> Any:
        magnitudes, signed = dct[self.chosen]

        def at_level(bins: int, height: int, width: int) -> Any:
            values = magnitudes(bins, height, width)
            return None if values is None else values[self.level].repeat(bins) * (self.sign if signed else 1)

        return self.chosen, (at_level, False)


def seed_of(name: str, least_level: int) -> tuple[int, int, int]:
    """A seed that draws the operation, with its level and sign."""
    names = (*COLOUR, *GEOMETRY)
    for seed in range(10_000):
        which, level, minus = np.random.default_rng(seed).integers((len(names), LEVELS + 1, 2)).tolist()
        if names[which] == name and level >= least_level:
            return seed, level, 1 - 2 * minus
    raise LookupError(name)


@pytest.mark.parametrize("least_level", [1, 15, 28])
@pytest.mark.parametrize("name", OFFICIAL)
def test_every_operation_of_trivial_equals_torchvisions(name: str, least_level: int) -> None:
    seed, level, sign = seed_of(name, least_level)
    image = picture(level)
    found = Trivial(pixels=PIXELS).view(State(normalised(image)[None]), [seed]).hidden
    expected = normalised(Chosen(OFFICIAL[name], level, sign)(image))[None]
    far = (found - expected).abs()
    # torchvision's magnitudes have 32 bits, ours 64: a few values are rounded to the other of two neighbours
    assert float(far.max()) < 1.01 / 255 / min(PIXELS.std)
    assert float((far > 1e-5).float().mean()) < 1e-4


def test_all_operations_are_drawn_equally_often() -> None:
    drawn = [Trivial()._drawn(seed).name for seed in range(2800)]
    counts = {name: drawn.count(name) for name in OFFICIAL}
    assert set(drawn) == set(OFFICIAL)
    assert min(counts.values()) > 130 and max(counts.values()) < 280
    assert {Trivial(geometry=False)._drawn(seed).name for seed in range(500)} == set(COLOUR)


@pytest.mark.parametrize("name", GEOMETRY)
def test_class_maps_move_with_the_picture_under_trivial(name: str) -> None:
    seed, _, _ = seed_of(name, 10)
    classes = torch.arange(1, 65).reshape(1, 8, 8).repeat_interleave(8, 1).repeat_interleave(8, 2)
    view = Trivial(pixels=PIXELS).view(State(normalised(classes.expand(3, 64, 64)[None].to(torch.uint8))), [seed])
    pixels = (
        (view.hidden * torch.tensor(PIXELS.std).view(-1, 1, 1) + torch.tensor(PIXELS.mean).view(-1, 1, 1)) * 255
    ).round()
    moved = Trivial(pixels=PIXELS).move_maps(classes, [seed])
    expected = pixels[:, 0].long()
    expected[expected == 0] = PADDED_TARGET  # black is outside of the picture
    assert torch.equal(moved, expected)
    assert not torch.equal(moved, classes)


def test_colours_leave_class_maps_alone() -> None:
    seed, _, _ = seed_of("brightness", 20)
    classes = torch.randint(0, 5, (1, 9, 9))
    assert torch.equal(Trivial(pixels=PIXELS).move_maps(classes, [seed]), classes)


def longhand_box(seed: int, height: int, width: int, crop: Crop) -> tuple[int, int, int, int]:
    draws = np.random.default_rng(seed)
    area = height * width * draws.uniform(*crop.scale)
    ratio = math.exp(draws.uniform(math.log(crop.ratio[0]), math.log(crop.ratio[1])))
    draws.random()
    wide, high = min(width, round(math.sqrt(area * ratio))), min(height, round(math.sqrt(area / ratio)))
    return int(draws.integers(height - high + 1)), int(draws.integers(width - wide + 1)), high, wide


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_crop_is_a_box_resized_bilinearly(seed: int) -> None:
    images, crop = torch.rand(1, 3, 40, 56), Crop(scale=(0.2, 0.8))
    top, left, high, wide = longhand_box(seed, 40, 56, crop)
    box = images[:, :, top : top + high, left : left + wide]
    expected = functional.interpolate(box, (40, 56), mode="bilinear", align_corners=False)
    torch.testing.assert_close(crop.view(State(images), [seed]).hidden, expected)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_class_maps_are_cropped_as_pictures_are(seed: int) -> None:
    crop = Crop(scale=(0.2, 0.8))
    edge = torch.zeros(1, 40, 56, dtype=torch.int64)
    edge[:, :, 28:] = 1
    picture, moved = crop.view(State(edge[:, None].float()), [seed]).hidden[:, 0], crop.move_maps(edge, [seed])
    assert torch.equal(moved, (picture >= 0.5).long())


def test_crops_keep_areas_and_shapes_within_the_settings() -> None:
    crop = Crop(scale=(0.3, 0.6), ratio=(0.5, 2.0))
    boxes = np.array([crop._box(seed, 100, 100)[2:] for seed in range(500)])
    share, ratio = boxes.prod(axis=1) / 1e4, boxes[:, 1] / boxes[:, 0]
    assert 0.29 < share.min() < 0.32 and 0.57 < share.max() < 0.61
    assert 0.49 < ratio.min() < 0.55 and 1.8 < ratio.max() < 2.05
    half = [Crop(share=0.5)._box(seed, 50, 50) == (0, 0, 50, 50) for seed in range(400)]
    assert 0.42 < np.mean(half) < 0.58


def test_flips_and_turns_are_torchs_own() -> None:
    image = torch.rand(1, 3, 6, 6)
    seen = set()
    for seed in range(300):
        across, down, turns = np.random.default_rng(seed).integers((2, 2, 4)).tolist()
        expected = image.flip(3) if across else image
        expected = expected.flip(2) if down else expected
        expected = expected.rot90(turns, (2, 3))
        assert torch.equal(Flip(vertical=True, quarter_turns=True).view(State(image), [seed]).hidden, expected)
        plain = Flip().view(State(image), [seed]).hidden
        assert torch.equal(plain, image.flip(3) if across else image)
        seen.add((across, down, turns))
    assert len(seen) == 16


def test_erasing_fills_boxes_of_the_papers_sizes_with_noise() -> None:
    images = torch.full((400, 3, 64, 64), 7.0)
    views = Erasing(share=0.5).view(State(images), range(400)).hidden
    erased = (views != 7).all(dim=1)
    touched = erased.flatten(1).any(dim=1)
    assert 0.42 < touched.float().mean() < 0.58
    boxes = [part.nonzero() for part in erased[touched]]
    sides = np.array([(box.max(dim=0).values - box.min(dim=0).values + 1).tolist() for box in boxes])
    assert all(len(box) == high * wide for box, (high, wide) in zip(boxes, sides))
    share, shape = sides.prod(axis=1) / 64**2, sides[:, 0] / sides[:, 1]
    assert 0.015 < share.min() < 0.05 and 0.28 < share.max() < 0.35
    assert 0.25 < shape.min() < 0.4 and 2.5 < shape.max() < 4
    noise = views[erased[:, None].expand_as(views)]
    assert abs(float(noise.mean())) < 0.01 and abs(float(noise.std()) - 1) < 0.01


def test_nothing_is_known_of_the_class_of_what_is_erased() -> None:
    seeds, classes = range(20), torch.ones(20, 32, 32, dtype=torch.int64)
    erased = Erasing().view(State(torch.full((20, 3, 32, 32), 7.0)), seeds).hidden[:, 0] != 7
    assert torch.equal(Erasing().move_maps(classes, seeds) == PADDED_TARGET, erased)
    mean = Erasing(fill="mean").view(State(torch.full((20, 3, 32, 32), 7.0)), seeds).hidden
    assert torch.equal(mean[:, 0] == 0, erased)
