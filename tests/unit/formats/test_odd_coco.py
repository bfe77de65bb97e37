"""COCO files whose fields are not what they should be: refused by name, never a fault of ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from headstart.contracts.format import Columns
from headstart.formats.coco import Coco
from headstart.kernel.errors import DataError
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
    [[]],
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
    assert re.search(r"instances\.json: annotation 1 of images/1\.png: .* is no polygon and no run lengths: ", said)


def test_a_corner_may_lie_far_outside(tmp_path: Path) -> None:
    assert not fault_of(changed(tmp_path, "annotations", "segmentation", [[0, 0, 1e7, 0, 1e7, 1e7, 0, 1e7]]))


def test_more_categories_than_a_mask_holds_are_refused(tmp_path: Path) -> None:
    path = save_coco(tmp_path, range(2)) / "instances.json"
    content = json.loads(path.read_text())
    content["categories"] = [{"id": k, "name": f"class {k}"} for k in range(300)]
    path.write_text(json.dumps(content))
    assert "300 categories; a mask holds at most 255" in fault_of(tmp_path)
