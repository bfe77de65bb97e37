"""Pictures are cut into tiles where their masks would not survive being seen smaller, and what was chosen is told."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from head_shapes import SHAPES
from headstart.contracts.examples import Examples, Schema
from headstart.media.masks import encode_mask
from headstart.tasks.segmentation.presentation import review
from headstart.tasks.segmentation.task import Segmentation
from masked_pictures import masked_pictures, picture_of, png

SIDE = 700


def large(width: int) -> Examples:
    """Two pictures with stripes so many pixels wide, as far apart."""
    stripes = np.broadcast_to((np.arange(SIDE) // width) % 2, (SIDE, SIDE)).astype(np.uint8)
    table = {"picture": [png(picture_of(stripes, seed)) for seed in (0, 1)], "mask": [encode_mask(stripes)] * 2}
    schema = Schema(modality="image", inputs=("picture",), targets={"mask": "mask"}, origin="origin")
    return Examples(pa.table({**table, "origin": ["a", "b"]}), schema)


def test_fine_masks_of_large_pictures_ask_for_tiles() -> None:
    task = Segmentation().bind(large(2), SHAPES)
    assert task.tile == task.image_side == 512 and task.reachable < 0.9
    (choice,) = task.choices()
    assert (choice.what, choice.value) == ("tiles", "512 px") and "up to 700 px long" in choice.reason
    assert review(large(2)).notes[-1] == f"tiles: 512 px; {choice.reason}"
    assert f"Dice of {task.reachable:.2f} at best" in choice.reason and "--set task.image_side=512" in choice.reason


@pytest.mark.parametrize("given", [{}, {"image_side": 256}])
def test_coarse_masks_and_a_side_that_was_given_do_not(given: dict[str, int]) -> None:
    task = Segmentation(**given).bind(large(100 if not given else 2), SHAPES)
    assert task.tile is None and task.image_side == given.get("image_side", 512)
    (choice,) = task.choices()
    assert choice.what == "size of the pictures" and "--set task.tile=512" in choice.reason


def test_nothing_is_told_of_pictures_seen_as_they_are_nor_of_tiles_that_were_asked_for() -> None:
    assert Segmentation().bind(masked_pictures(4), SHAPES).choices() == ()
    assert Segmentation(tile=256).bind(large(2), SHAPES).choices() == ()


def test_larger_pictures_than_those_learnt_from_are_told_before_predicting() -> None:
    task = Segmentation().bind(masked_pictures(4), SHAPES)
    assert task.warnings(masked_pictures(2)) == ()
    (remark,) = task.warnings(large(2))
    assert remark.startswith(
        "2 pictures of 2 are up to 700 px long and are seen at 96 px; those learnt from had up to 24"
    )
    assert Segmentation(tile=64).bind(masked_pictures(4), SHAPES).warnings(large(2)) == ()
