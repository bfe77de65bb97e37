"""Framing against torchvision's Resize and CenterCrop on Pillow images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from headstart.media.framing import Framing

SIZES = [(500, 375), (375, 500), (640, 113), (113, 640), (256, 256), (257, 255), (90, 61), (1, 300), (224, 1000)]
"""Width and height: odd, narrow, small and exact ones."""


def scene(width: int, height: int) -> Image.Image:
    draws = np.random.default_rng(width * 1000 + height)
    small = Image.fromarray(draws.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("shorter", "height", "width"), [(64, 56, 56), (65, 56, 56), (64, 64, 64), (65, 60, 33)])
@pytest.mark.parametrize("size", SIZES)
def test_it_frames_as_torchvision_does(
    size: tuple[int, int], shorter: int, height: int, width: int, interpolation: str
) -> None:
    image = scene(*size)
    resized = resize(image, shorter, InterpolationMode(interpolation))
    expected = np.asarray(center_crop(resized, [height, width]))
    framing = Framing(shorter, height, width, interpolation)
    found = framing(np.array(image))
    assert framing.resized(size[1], size[0]) == (resized.height, resized.width)
    assert found.shape == (height, width, 3) and found.dtype == np.uint8
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 2
    assert (difference > 1).mean() < 0.001


def test_a_picture_of_the_right_size_stays_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    before = pixels.copy()
    assert np.array_equal(Framing(48, 48, 48, "bicubic")(pixels), before)
    assert np.array_equal(Framing(48, 40, 32, "bilinear")(pixels), before[4:44, 8:40])
    wide = np.random.default_rng(0).integers(0, 255, (48, 99, 3), dtype=np.uint8)
    assert np.array_equal(Framing(48, 48, 48, "bicubic")(wide), wide[:, 26:74]), "half a pixel is rounded to even"
    assert np.array_equal(pixels, before)
