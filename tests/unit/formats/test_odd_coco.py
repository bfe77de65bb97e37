"""COCO files whose fields are not what they should be: refused by name, never a fault of ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from head_shapes import SHAPES as HEADS
from headstart.contracts.format import Columns
from headstart.contracts.targets import PADDED_TARGET
from headstart.formats.coco import Coco
from headstart.kernel.errors import DataError
from headstart.media.masks import read_mask
from headstart.pipeline.data import read_examples
from headstart.tasks.segmentation.presentation import review
from headstart.tasks.segmentation.task import Segmentation
from scans import save_coco

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    "x",
    "",
    [],
    [1],
    {},
    {"a": 1},
    float("nan"),
    float("inf"),
    1e300,
    -(10**30),
)
FIELDS = (
    *(("images", field) for field in ("id", "file_name", "height", "width")),
    *(("annotations", field) for field in ("image_id", "category_id")),
    *(("categories", field) for field in ("id", "name")),
)


def changed(folder: Path, key: str, field: str, value: Any) -> Path:
    path = save_coco(folder, range(2)) / "instances.json"
    content = json.loads(path.read_text())
    content[key][1][field] = value
    path.write_text(json.dumps(content))
    return folder


def with_object(folder: Path, **fields: Any) -> Path:
    """The second picture with one more object."""
    path = save_coco(folder, range(2)) / "instances.json"
    content = json.loads(path.read_text())
    content["annotations"].append({"id": 9, "image_id": 11, "category_id": 7, **fields})
    path.write_text(json.dumps(content))
    return folder


def values(folder: Path) -> np.ndarray:
    """The mask of the second picture."""
    found: np.ndarray = read_mask(Coco().read(folder, Columns()).target("mask")[1]).values
    return found


def fault_of(folder: Path) -> str:
    try:
        Coco().read(folder, Columns())
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("key", "field"), FIELDS, ids=".".join)
def test_odd_fields_are_refused_by_the_file(tmp_path: Path, key: str, field: str) -> None:
    said = [fault_of(changed(tmp_path / str(k), key, field, value)) for k, value in enumerate(ODD)]
    assert all("instances.json" in fault for fault in said if fault)
    taken = [value for value, fault in zip(ODD, said) if not fault]
    names = {("images", "id"), ("categories", "name"), ("categories", "id")}
    assert not taken or ((key, field) in names and all(isinstance(value, (int, str)) for value in taken))


@pytest.mark.parametrize("value", [-32, 0, "a", None, 10**400, float("inf")])
def test_sizes_are_whole_numbers_of_pixels(tmp_path: Path, value: Any) -> None:
    said = fault_of(changed(tmp_path, "images", "height", value))
    assert re.search(r"instances\.json.*images\[1\] has the height .*expected a whole number of pixels >= 1", said)


@pytest.mark.parametrize("name", ["/etc/hostname", "../../../../../../etc/hostname", "a" * 5000, "nul\0"])
def test_pictures_lie_below_the_folder_of_the_data(tmp_path: Path, name: str) -> None:
    assert "instances.json" in fault_of(changed(tmp_path, "images", "file_name", name))


def test_a_name_that_comes_back_into_the_folder_is_taken(tmp_path: Path) -> None:
    examples = Coco().read(changed(tmp_path, "images", "file_name", "images/../images/1.png"), Columns())
    assert examples.origins() == ["images/0.png", "images/1.png"]


SHAPES = (
    *([[value, 1, 9, 1, 9, 9]] for value in (None, float("nan"), float("inf"), 1e300, "x", [], {})),
    [[1, 2, 3]],
    ["abc"],
    5,
    "abc",
    {"a": 1},
    {"size": [32, 32]},
    {"counts": [1024]},
    *({"size": size, "counts": [1024]} for size in (None, 32, [32], [32, "x"], [-32, -32], [1, 1024])),
    *(
        {"size": [32, 32], "counts": counts}
        for counts in (None, 5, 1.5, {}, [1024.0], ["1024"], [2000, -976], [[1024]])
    ),
    *({"size": [32, 32], "counts": counts} for counts in ("", "o", "a`", "~", " ", "é", "o" * 5000, "0" * 5000)),
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape)[:40])
def test_odd_shapes_are_refused_by_file_annotation_and_picture(tmp_path: Path, shape: Any) -> None:
    said = fault_of(changed(tmp_path, "annotations", "segmentation", shape))
    assert re.search(r"instances\.json: annotation 1 of images/1\.png: .* is neither a polygon nor run lengths: ", said)


def test_a_corner_may_lie_far_outside(tmp_path: Path) -> None:
    assert not fault_of(changed(tmp_path, "annotations", "segmentation", [[0, 0, 1e7, 0, 1e7, 1e7, 0, 1e7]]))


NO_PIXELS = (None, [], {}, [[]], [[12, 12]], [[12, 12, 14, 14]], [[-9, -9, -2, -9, -2, -2]], [[12.1, 12.1] * 3])


@pytest.mark.parametrize("shape", NO_PIXELS, ids=str)
def test_objects_without_a_pixel_are_counted_and_their_boxes_unknown(tmp_path: Path, shape: Any) -> None:
    folder = with_object(tmp_path, bbox=[10.5, 12.2, 4, 3], segmentation=shape)
    before, after = values(save_coco(tmp_path / "whole", range(2))), values(folder)
    expected = before.copy()
    expected[12:16, 10:15] = np.where(before[12:16, 10:15] == 0, 255, before[12:16, 10:15])
    assert (before[12:16, 10:15] > 0).any() and (after == expected).all()
    notes = Coco().read(folder, Columns()).notes
    assert any("whose boxes are taken as unknown: 1, such as annotation 9 of images/1.png" in note for note in notes)


def test_an_object_without_pixels_and_box_leaves_the_rest_of_its_picture_unknown(tmp_path: Path) -> None:
    before, after = values(save_coco(tmp_path / "whole", range(2))), values(with_object(tmp_path))
    assert (after == np.where(before == 0, 255, before)).all()


def test_crowds_are_counted_and_unknown_beneath_what_is_told_apart(tmp_path: Path) -> None:
    crowd = {"size": [32, 32], "counts": [0, 32 * 32]}
    folder = with_object(tmp_path, segmentation=crowd, iscrowd=1)
    before = values(save_coco(tmp_path / "whole", range(2)))
    assert (values(folder) == np.where(before == 0, 255, before)).all()
    assert any(
        note.startswith("regions of crowds") and ": 1, " in note for note in Coco().read(folder, Columns()).notes
    )


def test_unknown_pixels_are_neither_learnt_nor_judged(tmp_path: Path) -> None:
    examples = Coco().read(with_object(tmp_path, bbox=[0, 0, 32, 32], segmentation=[]), Columns())
    task = Segmentation().bind(examples, HEADS)
    inside = [target.load() for target in task.targets(examples)["mask"]]
    assert (inside[1] == PADDED_TARGET).any() and set(np.unique(inside[1])) <= {PADDED_TARGET, 1, 2}
    assert sum(task.pixels) < 2 * 32 * 32
    assert not review(examples).faults


def test_objects_of_a_background_category_are_background(tmp_path: Path) -> None:
    folder = changed(tmp_path, "categories", "name", "Background")  # that of the squares
    assert Coco().read(folder, Columns()).schema.legend == {"0": "background", "1": "stripe"}
    assert set(np.unique(values(folder))) == {0, 1}


@pytest.mark.parametrize(
    ("key", "field", "value", "fault"),
    [
        ("categories", "name", "stripe", "categories 3 and 7 are both called 'stripe'"),
        ("categories", "name", " stripe ", "categories 3 and 7 are both called 'stripe'"),
        ("categories", "id", 3, "two categories have the id 3: stripe and square"),
        ("images", "id", 10, r"two images have the id 10: 0\.png and 1\.png"),
        ("images", "file_name", "0.png", r"images/0\.png is there twice"),
        ("images", "file_name", "images/0.png", r"images/0\.png is there twice"),
        (
            "annotations",
            "category_id",
            "7",
            r"annotation 1 is of class .7., .* the categories are 3, 7",
        ),
        ("annotations", "image_id", "10", r"annotation 1 is of picture '10', which is not there"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_by_file_and_name(
    tmp_path: Path, key: str, field: str, value: Any, fault: str
) -> None:
    said = fault_of(changed(tmp_path, key, field, value))
    assert "instances.json" in said and re.search(fault, said)


def test_boxes_alone_are_known_and_refused_as_masks(tmp_path: Path) -> None:
    path = save_coco(tmp_path, range(2)) / "instances.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        del annotation["segmentation"]
        annotation["bbox"] = [1, 1, 5, 5]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="no annotation has a segmentation of an object"):
        read_examples(tmp_path, Columns(target="mask"))
    assert len(read_examples(tmp_path, Columns(), labelled=False)[0]) == 2


def test_a_box_that_is_none_is_refused_by_file_and_annotation(tmp_path: Path) -> None:
    for box in ([1, 2, 3], [1, 2, -3, 4], "abcd", [1, 2, float("nan"), 4]):
        folder = with_object(tmp_path / str(box), bbox=box)
        assert re.search(r"instances\.json: annotation 9 of images/1\.png: .* is not a box", fault_of(folder))


def test_runs_read_the_masks_of_other_annotations_by_the_names_of_their_classes(tmp_path: Path) -> None:
    trained = Coco().read(save_coco(tmp_path / "trained", range(2)), Columns())
    task = Segmentation().bind(trained, HEADS)
    folder = save_coco(tmp_path / "other", range(2))
    content = json.loads((folder / "instances.json").read_text())
    content["categories"].insert(0, {"id": 1, "name": "another"})
    (folder / "instances.json").write_text(json.dumps(content))
    other = Coco().read(folder, Columns())
    assert other.schema.legend["2"] == "stripe" == trained.schema.legend["1"]
    for one, again in zip(task.targets(trained)["mask"], task.targets(other)["mask"]):
        assert (one.load() == again.load()).all()
    assert task.extended(other, HEADS).values == task.values


def test_more_categories_than_a_mask_holds_are_refused(tmp_path: Path) -> None:
    path = save_coco(tmp_path, range(2)) / "instances.json"
    content = json.loads(path.read_text())
    content["categories"] = [{"id": k, "name": f"class {k}"} for k in range(300)]
    path.write_text(json.dumps(content))
    assert "300 categories; a mask holds at most 254" in fault_of(tmp_path)
