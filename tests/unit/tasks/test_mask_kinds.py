"""Kinds of masks and how those of a data set are read alike: palettes, transparency, smoothing, EXIF."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from head_shapes import SHAPES as HEADS
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.formats.coco import Coco
from headstart.formats.mask_folder import MaskFolder
from headstart.kernel.errors import DataError
from headstart.tasks.segmentation.task import BoundSegmentation, Segmentation
from headstart.verbs.inspect import inspect
from scans import save_coco

COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
HEIGHT, WIDTH = 48, 64


def truth(seed: int) -> np.ndarray:
    """(height, width): a rectangle of class 1, and in three of four pictures one of class 2."""
    draws, classes = np.random.default_rng(seed), np.zeros((HEIGHT, WIDTH), np.uint8)
    for number in (1, 2) if seed % 4 else (1,):
        top, left = draws.integers(2, 22), draws.integers(2, 38)
        classes[top : top + 17, left : left + 19] = number
    return classes


def saved(
    root: Path, mask_of: Callable[[int, np.ndarray], Image.Image], count: int = 12, kind: str = "png", turn: int = 1
) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for seed in range(count):
        Image.fromarray(COLOURS[truth(seed)]).save(root / "images" / f"{seed:02}.png", exif=exif)
        mask_of(seed, truth(seed)).save(root / "masks" / f"{seed:02}.{kind}")
    return root


def read(root: Path, **settings: object) -> tuple[Examples, BoundSegmentation]:
    examples = MaskFolder(**settings).read(root, Columns())
    return examples, Segmentation().bind(examples, HEADS)


def found(examples: Examples, task: BoundSegmentation) -> list[np.ndarray]:
    return [target.truth for target in task.targets(examples)["mask"]]


def palette(numbers: np.ndarray, colours: np.ndarray) -> Image.Image:
    image = Image.fromarray(numbers.astype(np.uint8), mode="P")
    image.putpalette(colours.astype(np.uint8).ravel().tolist())
    return image


def permuted(seed: int, classes: np.ndarray) -> Image.Image:
    order = [0, 1, 2] if seed % 2 else [2, 0, 1]
    return palette(np.argsort(order)[classes], COLOURS[order])


def mixed_palette(seed: int, classes: np.ndarray) -> Image.Image:
    return Image.fromarray(COLOURS[classes]) if seed % 2 else palette(classes, COLOURS)


def black_and_white(seed: int, classes: np.ndarray) -> Image.Image:
    white = Image.fromarray(255 * (classes > 0).astype(np.uint8))
    return white.convert("1") if seed % 2 else white


def drawn_on_nothing(seed: int, classes: np.ndarray) -> Image.Image:
    opaque = np.where(classes > 0, 255, 0).astype(np.uint8)
    return Image.fromarray(np.dstack([np.full((*classes.shape, 3), [255, 0, 0], np.uint8), opaque]))


def white_on_nothing(seed: int, classes: np.ndarray) -> Image.Image:
    opaque = np.where(classes > 0, 255, 0).astype(np.uint8)
    return Image.fromarray(np.dstack([np.full(classes.shape, 255, np.uint8), opaque]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mask_of", "numbers"),
    [
        (lambda _, classes: palette(classes, COLOURS), [0, 1, 2]),
        (lambda _, classes: palette(classes, np.zeros((3, 3))), [0, 1, 2]),
        (lambda _, classes: Image.fromarray(COLOURS[classes]).quantize(3), [0, 2, 1]),
        (permuted, [0, 2, 1]),
        (mixed_palette, [0, 2, 1]),
        (black_and_white, [0, 1, 1]),
        (drawn_on_nothing, [0, 1, 1]),
        (white_on_nothing, [0, 1, 1]),
    ],
)
def test_a_class_is_the_same_in_all_masks_whatever_their_palettes(
    tmp_path: Path, mask_of: Callable[[int, np.ndarray], Image.Image], numbers: Sequence[int]
) -> None:
    examples, task = read(saved(tmp_path / "data", mask_of))
    assert all(np.array_equal(mask, np.array(numbers)[truth(seed)]) for seed, mask in enumerate(found(examples, task)))
    assert len(task.classes) == len(set(numbers))
    if mask_of is permuted:
        assert any("palettes of the masks differ: " in note.text for note in inspect(tmp_path / "data").findings)
        assert [choice.value for choice in task.choices()] == ["colours"]


def test_differing_palettes_under_numbers_of_a_legend_or_of_a_run_are_refused(tmp_path: Path) -> None:
    _, task = read(saved(tmp_path / "numbers", lambda _, classes: Image.fromarray(classes)))
    root = saved(tmp_path / "differing", permuted)
    with pytest.raises(DataError, match="palettes of the masks differ: #000000 is 1 in one and 0 in another"):
        task.targets(MaskFolder().read(root, Columns()))
    (root / "legend.json").write_text(json.dumps({"0": "background", "1": "a", "2": "b"}))
    with pytest.raises(DataError, match=r"palettes of the masks differ.*legend\.json"):
        read(root)


def smoothed(values: Sequence[int], how: str) -> Callable[[int, np.ndarray], Image.Image]:
    def mask_of(seed: int, classes: np.ndarray) -> Image.Image:
        sharp = Image.fromarray(np.array(values, np.uint8)[classes])
        if how == "turned":
            return sharp.rotate(7, Image.Resampling.BILINEAR)
        if how == "blocks":
            small = sharp.resize((WIDTH // 2 + 1, HEIGHT // 2 + 1), Image.Resampling.BILINEAR)
            return small.resize(sharp.size, Image.Resampling.NEAREST)
        if how == "halves":
            halves = np.asarray(sharp).reshape(HEIGHT, WIDTH // 2, 2).astype(int)
            return Image.fromarray(np.repeat(halves.sum(axis=2) // 2, 2, axis=1).astype(np.uint8))
        if how == "colours":
            return Image.fromarray(COLOURS[classes]).rotate(7, Image.Resampling.BILINEAR)
        large = sharp.resize((3 * WIDTH, 3 * HEIGHT), Image.Resampling.NEAREST).rotate(4)
        thirds = np.asarray(large).reshape(HEIGHT, 3, WIDTH, 3).mean(axis=(1, 3))
        return Image.fromarray(thirds.round().astype(np.uint8))

    return mask_of


@pytest.mark.parametrize(
    ("values", "how"),
    [
        ((0, 255, 255), "turned"),
        ((0, 100, 200), "turned"),
        ((0, 255, 255), "blocks"),
        ((0, 255, 255), "small"),
        ((0, 255, 255), "halves"),
        ((0, 1, 2), "colours"),
    ],
)
def test_smoothed_masks_are_refused_and_a_threshold_reads_those_of_two_classes(
    tmp_path: Path, values: Sequence[int], how: str
) -> None:
    root = saved(tmp_path / "data", smoothed(values, how))
    with pytest.raises(DataError, match=r"look smoothed.*such as .*--set format\.threshold=128"):
        read(root)
    assert any(note.severity == "error" and "look smoothed" in note.text for note in inspect(root).findings)
    if values == (0, 255, 255):
        (root / "legend.json").write_text(json.dumps({"0": "background", "1": "cell"}))
        examples, task = read(root, threshold=128)
        assert task.classes == ("background", "cell") and task.values == (0, 255)
        wanted = np.asarray(smoothed(values, how)(1, truth(1))) >= 128
        assert np.array_equal(found(examples, task)[1], wanted)
        assert "128" in task.targets(examples)["mask"][1].key


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 128, 255], [0, 7, 250]])
def test_classes_are_not_taken_for_smoothing(tmp_path: Path, values: list[int]) -> None:
    examples, task = read(
        saved(tmp_path / "data", lambda _, classes: Image.fromarray(np.array(values, np.uint8)[classes]))
    )
    assert all(np.array_equal(mask, truth(seed)) for seed, mask in enumerate(found(examples, task)))


def test_masks_of_0_and_1_beside_others_of_0_and_255_are_refused(tmp_path: Path) -> None:
    root = saved(
        tmp_path / "data",
        lambda seed, classes: Image.fromarray((254 * (seed % 3 == 0) + 1) * (classes > 0).astype(np.uint8)),
    )
    with pytest.raises(DataError, match=r"8 masks have the values 0 and 1, 4 have 0 and 255.*format\.threshold=1"):
        read(root)
    examples, task = read(root, threshold=1)
    assert all(np.array_equal(mask, truth(seed) > 0) for seed, mask in enumerate(found(examples, task)))


def test_masks_in_jpeg_are_read_by_a_threshold_alone(tmp_path: Path) -> None:
    root = saved(
        tmp_path / "data", lambda _, classes: Image.fromarray(255 * (classes > 0).astype(np.uint8)), kind="jpg"
    )
    with pytest.raises(DataError, match=r"JPEG, which changes the values.*--set format\.threshold=128"):
        read(root)
    examples, task = read(root, threshold=128)
    assert np.array_equal(found(examples, task)[3], truth(3) > 0)


def test_masks_of_several_pages_and_of_inks_are_refused(tmp_path: Path) -> None:
    root = saved(tmp_path / "data", lambda _, classes: Image.fromarray(classes), kind="tif")
    page = Image.fromarray(truth(0))
    page.save(root / "masks" / "00.tif", save_all=True, append_images=[page])
    page.convert("RGB").convert("CMYK").save(root / "masks" / "01.tif")
    with pytest.raises(DataError, match=r"(?s)00.png: the mask has 2 pages.*01.png: the mask has CMYK colours"):
        read(root)


UPRIGHT = {3: lambda mask: mask[::-1, ::-1], 6: lambda mask: np.rot90(mask, -1)}


def test_sizes_tell_whether_masks_are_turned_with_their_pictures(tmp_path: Path) -> None:
    stored = saved(tmp_path / "stored", lambda _, classes: Image.fromarray(classes), turn=6)
    examples, task = read(stored)
    assert np.array_equal(found(examples, task)[1], UPRIGHT[6](truth(1)))
    assert any("12 pictures are turned by EXIF" in note and "turned with them" in note for note in examples.notes)
    examples, task = read(saved(tmp_path / "upright", lambda _, mask: Image.fromarray(UPRIGHT[6](mask)), turn=6))
    assert np.array_equal(found(examples, task)[1], UPRIGHT[6](truth(1)))
    itself = saved(tmp_path / "itself", lambda _, mask: Image.fromarray(mask), turn=3)
    for path in (itself / "images").iterdir():
        shutil.copy(path, itself / "masks")
    examples, task = read(itself)
    assert np.array_equal(found(examples, task)[1], UPRIGHT[3](np.array([0, 2, 1])[truth(1)]))
    image = Image.fromarray(UPRIGHT[6](truth(0)))
    image.save(stored / "masks" / "00.png")
    with pytest.raises(
        DataError, match=r"of 11 lie over them as stored, .* and of 1 upright, such as those of images/00"
    ):
        read(stored)


@pytest.mark.parametrize(("exif", "turned"), [("stored", True), ("upright", False)])
def test_where_sizes_do_not_tell_the_user_must(tmp_path: Path, exif: str, turned: bool) -> None:
    root = saved(tmp_path / "data", lambda _, classes: Image.fromarray(classes), turn=3)
    with pytest.raises(DataError, match=r"12 pictures are turned by EXIF.*--set format\.exif=stored"):
        read(root)
    assert any(note.severity == "error" and "EXIF" in note.text for note in inspect(root).findings)
    examples, task = read(root, exif=exif)
    assert np.array_equal(found(examples, task)[1], UPRIGHT[3](truth(1)) if turned else truth(1))
    assert len(MaskFolder().read(root, Columns(), labelled=False)) == 12


@pytest.mark.parametrize("orientation", [3, 6])
def test_outlines_of_coco_are_turned_with_the_pictures_that_they_lie_over(tmp_path: Path, orientation: int) -> None:
    before = Segmentation().bind(plain := Coco().read(save_coco(tmp_path / "plain", range(3)), Columns()), HEADS)
    root, exif = save_coco(tmp_path / "turned", range(3)), Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    for path in (root / "images").iterdir():
        Image.open(path).save(path, exif=exif)
    with pytest.raises(DataError, match=r"turned by EXIF.* outlines .*--set format\.exif=stored"):
        Coco().read(root, Columns())  # the pictures are squares
    examples = Coco(exif="stored").read(root, Columns())
    after = Segmentation().bind(examples, HEADS)
    for one, other in zip(found(plain, before), found(examples, after)):
        assert np.array_equal(UPRIGHT[orientation](one), other)
