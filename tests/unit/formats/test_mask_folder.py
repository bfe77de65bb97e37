"""Pictures with masks: which mask belongs to which picture, and what is missing is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.formats.mask_folder import MaskFolder
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples
from masked_pictures import save_pairs


def read(folder: Path, **columns: str) -> Examples:
    return MaskFolder().read(folder, Columns(**columns))


def touch(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / path)
    return folder


@pytest.mark.parametrize(
    ("paths", "pairs", "parts"),
    [
        (["images/1.jpg", "masks/1.png"], [("images/1.jpg", "masks/1.png")], None),
        (["imgs/a/1.png", "Labels/a/1.png"], [("imgs/a/1.png", "Labels/a/1.png")], None),
        (
            ["train/images/1.png", "train/masks/1.png", "val/images/1.png", "val/masks/1.png"],
            [("train/images/1.png", "train/masks/1.png"), ("val/images/1.png", "val/masks/1.png")],
            ["train", "val"],
        ),
        (
            ["images/test/1.png", "images/train/1.png", "masks/test/1.png", "masks/train/1.png"],
            [("images/test/1.png", "masks/test/1.png"), ("images/train/1.png", "masks/train/1.png")],
            ["test", "train"],
        ),
        (["a/17.jpg", "a/17_mask.png"], [("a/17.jpg", "a/17_mask.png")], None),
        (["17.jpg", "17-seg.png"], [("17.jpg", "17-seg.png")], None),
        (["images/17.jpg", "masks/17_mask.png"], [("images/17.jpg", "masks/17_mask.png")], None),
        (
            ["imagesTr/a_0000.png", "imagesTs/a_0000.png", "labelsTr/a.png", "labelsTs/a.png"],
            [("imagesTr/a_0000.png", "labelsTr/a.png"), ("imagesTs/a_0000.png", "labelsTs/a.png")],
            ["train", "test"],
        ),
    ],
)
def test_pictures_and_masks_find_each_other(
    tmp_path: Path, paths: list[str], pairs: list[tuple[str, str]], parts: list[str] | None
) -> None:
    examples, seen = read_examples(touch(tmp_path, *paths), Columns())
    assert seen == f"{len(pairs)} pictures, {len(pairs)} of them with a mask"
    assert list(zip(examples.column("path"), examples.target("mask"))) == pairs
    assert (examples.column(examples.schema.part) if examples.schema.part else None) == parts


def test_a_picture_without_a_mask_and_a_mask_without_a_picture_are_named(tmp_path: Path) -> None:
    save_pairs(tmp_path, range(4))
    (tmp_path / "masks" / "001.png").unlink()
    (tmp_path / "images" / "003.png").unlink()
    with pytest.raises(
        DataError, match=r"1 of 3 pictures have no mask: images/001\.png; 1 masks have no picture: masks/003"
    ):
        read(tmp_path)


def test_empty_mask_folders_are_told_of(tmp_path: Path) -> None:
    save_pairs(tmp_path, range(3))
    for mask in (tmp_path / "masks").iterdir():
        mask.unlink()
    with pytest.raises(DataError, match="none of the 3 pictures has a mask"):
        read_examples(tmp_path, Columns())


def test_two_masks_of_one_picture_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/1.png", "masks/1.png", "masks/1.bmp")
    with pytest.raises(DataError, match="are masks of the same picture"):
        read(tmp_path)


def test_pictures_of_images_ts_without_masks_are_left_out(tmp_path: Path) -> None:
    examples = read(touch(tmp_path, "imagesTr/a_0000.png", "imagesTs/a_0000.png", "labelsTr/a.png"))
    assert examples.origins() == ["imagesTr/a_0000.png"] and examples.schema.part is None
    assert examples.notes == ("pictures of imagesTs, as they have no masks, left out: 1, such as imagesTs/a_0000.png",)


def test_a_group_is_read_from_the_path(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"{kind}/p{patient}_{k}.png" for kind in ("images", "masks") for patient in (1, 2) for k in (0, 1))
    )
    examples = read(tmp_path, group=r"p(\d)")
    assert examples.column("group") == ["1", "1", "2", "2"]


@pytest.mark.parametrize(
    ("name", "content", "legend"),
    [
        ("legend.json", '{"0": "background", "2": "cell"}', {"0": "background", "2": "cell"}),
        ("classes.txt", "background\ncell\n", {"0": "background", "1": "cell"}),
        ("labelmap.txt", "# label:color_rgb:parts:actions\ncell:255,0,16::\n", {"#ff0010": "cell"}),
    ],
)
def test_legends_in_files_beside_the_masks(tmp_path: Path, name: str, content: str, legend: dict[str, str]) -> None:
    save_pairs(tmp_path, range(2))
    (tmp_path / name).write_text(content)
    examples = read(tmp_path)
    assert examples.schema.legend == legend and examples.notes == ()


def test_a_damaged_legend_says_what_it_should_be(tmp_path: Path) -> None:
    save_pairs(tmp_path, range(2))
    (tmp_path / "labelmap.txt").write_text("cell;1;2;3\n")
    with pytest.raises(DataError, match="expected name:red,green,blue"):
        read(tmp_path)


def test_class_folders_with_such_names_are_still_classes(tmp_path: Path) -> None:
    save_pairs(tmp_path / "some", range(2))
    shutil.move(tmp_path / "some" / "images", tmp_path / "cells")
    shutil.move(tmp_path / "some" / "masks", tmp_path / "masks")
    examples, seen = read_examples(tmp_path, Columns())
    assert "class folders" in seen and set(examples.target()) == {"cells", "masks"}
