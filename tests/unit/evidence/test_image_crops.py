"""Pictures that were mirrored, turned or cropped are copies; pictures that look alike are none."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_duplicates import clusters, encoded, examples, found

from headstart.contracts.format import Columns
from headstart.evidence.clusters import Clusters
from headstart.evidence.image_crops import cropped_images
from headstart.evidence.image_fingerprints import SIDE
from headstart.formats.image_folder import ImageFolder

Picture = Image.Image
Turn = Image.Transpose
TURNS = [
    Turn.FLIP_LEFT_RIGHT,
    Turn.FLIP_TOP_BOTTOM,
    Turn.ROTATE_90,
    Turn.ROTATE_180,
    Turn.ROTATE_270,
    Turn.TRANSPOSE,
    Turn.TRANSVERSE,
]


def photo(seed: int, width: int = 240, height: int = 180) -> Picture:
    """A picture with as much detail at each scale as photographs have."""
    draws = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(draws.integers(0, 256, (n, n, 3), np.uint8)).resize(
                (width, height), Image.Resampling.BICUBIC
            ),
            np.float64,
        )
        for n in (3, 5, 9, 17, 33)
    ]
    mixed = sum(layer / 1.5**place for place, layer in enumerate(layers)) / sum(1.5**-place for place in range(5))
    return Image.fromarray(((mixed - 128) * 1.8 + 128).clip(0, 255).astype(np.uint8))


def cropped(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    """Without these shares at the sides."""
    width, height = picture.size
    return picture.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


CROPS = [(0.05, 0.05, 0.05, 0.05), (0.05, 0.0, 0.0, 0.0), (0.0, 0.0, 0.05, 0.05), (0.05, 0.0, 0.05, 0.0)]
CROPS += [(0.025, 0.025, 0.025, 0.025), (0.03, 0.02, 0.0, 0.04)]
CHANGES: dict[str, Callable[[Picture], bytes]] = {
    **{turn.name: lambda picture, turn=turn: encoded(picture.transpose(turn)) for turn in TURNS},
    **{f"crop {sides}": lambda picture, sides=sides: encoded(cropped(picture, *sides)) for sides in CROPS},
    "turned and saved again": lambda picture: encoded(picture.transpose(Turn.ROTATE_90), "JPEG", quality=60),
    "mirrored and smaller": lambda picture: encoded(picture.transpose(Turn.FLIP_LEFT_RIGHT).resize((120, 90))),
    "cropped and saved again": lambda picture: encoded(cropped(picture, *CROPS[0]), "JPEG", quality=60),
    "cropped and larger": lambda picture: encoded(cropped(picture, *CROPS[0]).resize((300, 225))),
    "cropped, turned and darker": lambda picture: encoded(
        cropped(picture, *CROPS[0]).transpose(Turn.ROTATE_270).point([int(value * 0.8) for value in range(256)] * 3),
        "JPEG",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_is_found_among_others(change: str) -> None:
    pictures = [photo(seed) for seed in range(3)]
    images = [*map(encoded, pictures), *map(CHANGES[change], pictures)]
    assert clusters(found(examples("image", image=images))) == [[k, k + 3] for k in range(3)]


def test_a_small_thing_that_moved_is_another_picture_however_it_is_turned() -> None:
    one, other = photo(5), photo(5)
    one.paste("black", (30, 30, 42, 42))
    other.paste("black", (150, 120, 162, 132))
    turned = [encoded(other), encoded(other.transpose(Turn.ROTATE_90)), encoded(cropped(other, *CROPS[0]))]
    assert 0 not in [row for some in clusters(found(examples("image", image=[encoded(one), *turned]))) for row in some]


def test_flat_and_smooth_pictures_are_no_copies_of_each_other() -> None:
    ramp = np.tile(np.linspace(60, 200, 64), (64, 1))
    pages = [ramp, ramp.T, ramp[:, ::-1], np.full((64, 64), 90.0), np.full((64, 64), 180.0)]
    images = [encoded(Image.fromarray(page.astype(np.uint8))) for page in pages]
    assert clusters(found(examples("image", image=images))) == []


def test_digits_that_look_alike_are_not_joined() -> None:
    from sklearn.datasets import load_digits

    digits = [Image.fromarray((pixels * 15).astype(np.uint8)).resize((SIDE, SIDE)) for pixels in load_digits().images]
    assert cropped_images(np.stack([np.asarray(digit) for digit in digits])) == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [("img_ants_bees", 0), ("img_cats_dogs", 0), ("da_pacs/photo", 2)])
def test_real_photographs_are_not_joined(test_data: Path, name: str, most: int) -> None:
    photographs = found(ImageFolder().read(test_data / "data" / name, Columns()))
    assert len(photographs.near) <= most


@pytest.mark.slow
def test_ten_thousand_pictures_are_not_compared_pair_by_pair() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10_000, SIDE, SIDE), np.uint8)
    pixels[7000:7100] = pixels[:100].transpose(0, 2, 1)
    began = time.process_time()
    assert cropped_images(pixels) == [(k, 7000 + k) for k in range(100)]
    assert time.process_time() - began < 20, "pairs of pictures were compared one by one"


def test_a_family_of_turned_copies_is_one_cluster() -> None:
    picture = photo(1)
    images = [encoded(picture), *(encoded(picture.transpose(turn)) for turn in TURNS), encoded(photo(2))]
    joined = Clusters(len(images))
    joined.join_all(found(examples("image", image=images)).near)
    assert np.bincount(joined.labels())[[0, 8]].tolist() == [8, 1]
