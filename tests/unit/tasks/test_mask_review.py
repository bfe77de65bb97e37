"""What is said of masks before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from head_shapes import SHAPES
from headstart import inspect
from headstart.cli.printing import print_inspection
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.media.masks import encode_mask
from headstart.tasks.segmentation.mask_classes import Classes
from headstart.tasks.segmentation.mask_files import write_masks
from headstart.tasks.segmentation.presentation import review
from headstart.tasks.segmentation.task import Segmentation
from masked_pictures import Given, masked_pictures, picture_of, png, save_pairs


def test_classes_are_counted_by_pictures_and_pixels() -> None:
    found = review(masked_pictures(12))
    assert found.faults == () and found.warnings == ("classes in fewer than 10 pictures: 'class 2' (8)",)
    (note,) = found.notes
    assert note.startswith("12 masks of 3 classes, by pictures and share of all pixels: background 12 (")
    shares = np.array([*found.spreads.values()])
    assert [*found.spreads] == ["share of background", "share of class 1", "share of class 2"]
    assert shares.shape == (3, 12) and np.allclose(shares.sum(axis=0), 100, atol=0.05)


def test_objects_that_are_numbered_are_counted(tmp_path: Path) -> None:
    data = save_pairs(tmp_path, range(3))
    for seed in range(3):
        numbers = np.zeros((48, 48), np.uint8)
        numbers[::2, :] = np.arange(48) % 24 + 1
        Image.fromarray(numbers).save(data / "masks" / f"{seed:03d}.png")
    texts = [finding.text for finding in inspect(data).findings]
    assert "the masks hold numbers of objects: 72 of them, 24 to 24 in a mask" in texts


def test_every_kind_of_fault_is_a_finding_of_an_inspection(tmp_path: Path) -> None:
    data = save_pairs(tmp_path, range(6))
    (data / "legend.json").write_text('{"0": "background", "1": "outer"}')
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(data / "masks" / "005.png")
    (data / "masks" / "001.png").write_bytes(encode_mask(np.zeros((48, 48))))
    found = inspect(data)
    errors = [finding.text for finding in found.findings if finding.severity == "error"]
    assert "1 of 6 masks cannot be used" in errors[0] and "its mask 9x9" in errors[0]
    assert "hold values that are not classes: 2" in errors[1]

    (data / "legend.json").unlink()
    warnings = [finding.text for finding in inspect(data).findings if finding.severity == "warning"]
    assert "1 of 5 masks hold background alone: images/001.png" in warnings


def test_faults_are_listed_line_by_line_and_none_is_made_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = save_pairs(tmp_path, range(2))
    for mask in (data / "masks").iterdir():
        Image.new("L", (8, 8)).save(mask)
    print_inspection(inspect(data))
    said = capsys.readouterr().out
    assert "\\n" not in said and len([line for line in said.splitlines() if line.strip().startswith("images/")]) == 2
    assert said.count("error:") == 1


@pytest.mark.parametrize("values", [(0, 255), (3, 7)])
def test_predicted_masks_have_the_values_of_the_masks_that_were_learnt_from(
    tmp_path: Path, values: tuple[int, int]
) -> None:
    picture = save_pairs(tmp_path, [0]) / "images" / "000.png"
    numbers = np.zeros((48, 48), np.uint8)
    numbers[8:] = 1
    names = write_masks(
        Classes(("rest", "cell"), values, False), [encode_mask(numbers)], 48, [picture], ["a"], tmp_path
    )
    assert names == ["a.png"] and np.unique(np.asarray(Image.open(tmp_path / "a.png"))).tolist() == [*values]
    assert (tmp_path / "legend.json").read_text() == f'{{\n "{values[0]}": "rest",\n "{values[1]}": "cell"\n}}\n'


@pytest.mark.parametrize("tile", [None, 64])
def test_what_lies_beside_the_picture_in_its_square_is_no_part_of_it(tile: int | None) -> None:
    masks = [np.repeat([[0, 1]], 10, axis=0).repeat(20, axis=1).astype(np.uint8)] * 2  # 10 x 40 pixels
    table = {"picture": [png(picture_of(mask, 0)) for mask in masks], "mask": [encode_mask(mask) for mask in masks]}
    schema = Schema(modality="image", inputs=("picture",), targets={"mask": "mask"}, origin="origin")
    examples = Examples(pa.table({**table, "origin": ["a", "b"]}), schema)
    learnt = {"classes": ("rest", "left", "below"), "values": (7, 0, 1), "coloured": False, "pixels": (0, 1, 1)}
    view = {"image_side": 64, "tile": tile, "longest": 40, "reachable": 1.0, "in_mm": False}
    task = Segmentation().restore({**learnt, **view})
    logits = torch.zeros(2, 3, 64, 64)
    logits[:, 1, :, 16:32], logits[:, 2, 16:] = 5, 5  # the picture takes the 16 uppermost rows
    inside = torch.from_numpy(task.inputs(examples)["inside"])
    found = task.predict(Given(logits), Features(torch.zeros(2, 1)), {"inside": inside})
    found = task.evaluation.finish(found, {})
    rows = presentation_of(task).columns(found)
    assert rows["prediction"].tolist() == ["rest, left"] * 2
    assert rows["share of left"].tolist() == [0.25] * 2 and rows["share of below"].tolist() == [0, 0]


def test_values_to_be_ignored_are_neither_learnt_nor_judged() -> None:
    mask = np.zeros((24, 24), np.uint8)
    mask[4:12], mask[12:20], mask[:2] = 1, 2, 255
    given = [encode_mask(mask)] * 2
    table = {"picture": [png(picture_of(mask, 0))] * 2, "mask": given, "origin": ["a", "b"]}
    schema = Schema(modality="image", inputs=("picture",), targets={"mask": "mask"}, origin="origin")
    examples = Examples(pa.table(table), schema)
    assert "--set task.ignore=[255]" in review(examples).notes[-1]
    task = Segmentation(ignore=(255,), image_side=32).bind(examples, SHAPES)
    assert task.values == (0, 1, 2) and task.pixels == (2 * 24 * 6, 2 * 24 * 8, 2 * 24 * 8)
    targets = task.targets(examples)
    loaded = targets["mask"][0].load()
    assert (loaded == -100).sum() == 32 * 3 and set(np.unique(loaded)) == {-100, 0, 1, 2}
    predicted = np.where(mask == 255, 1, mask)  # wrong where nothing is known
    column = np.empty(2, object)
    column[:] = [encode_mask(predicted)] * 2
    scores = {metric.name: metric.score(targets, Prediction({"mask": column})) for metric in task.evaluation.metrics}
    assert scores["dice"] == scores["iou_class 1"] == 1 and scores["hd95_px"] == 0
