"""COCO's boxes: the numbers that come out, what is told of odd ones, and which of masks and boxes a task gets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

from boxed_pictures import BOXES, coco_content, edges, save_boxed_coco
from headstart.cli.app import app
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut
from headstart.evidence.splits import split
from headstart.formats.coco import Coco
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples
from scans import save_coco

Change = Callable[[dict[str, Any]], Any]
WIDE, HIGH = 40, 30


def read(folder: Path, columns: Columns | None = None) -> Examples:
    return Coco().read(folder, columns or Columns())


def changed(folder: Path, change: Change) -> Path:
    content = coco_content()
    change(content)
    save_boxed_coco(folder)
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def first(field: str, value: Any) -> Change:
    """Put `value` into a field of the first annotation."""
    return lambda content: content["annotations"][0].update({field: value})


def added(**fields: Any) -> Change:
    """One more annotation, of the second picture."""
    one = {"id": 99, "image_id": 13, "category_id": 3, "bbox": [10, 10, 5, 5], **fields}
    return lambda content: content["annotations"].append(one)


def test_boxes_come_out_as_edges_and_pictures_without_objects_stay(tmp_path: Path) -> None:
    examples, seen = read_examples(save_boxed_coco(tmp_path), Columns())
    assert "COCO" in seen and examples.schema.targets == {"boxes": "boxes"}
    assert examples.origins() == [f"images/{name}" for name in BOXES]
    assert edges(examples.target("boxes")) == list(BOXES.values())
    assert any("pictures without objects: 1, such as images/c.png" in note for note in examples.notes)


ODD = {
    "outside in part": (
        added(bbox=[35, 25, 20, 20]),
        "reach outside their pictures, clipped: 1, such as annotation 99",
    ),
    "outside": (added(bbox=[50, 50, 5, 5]), "outside their pictures, left out: 1, such as annotation 99 of images/b"),
    "without area": (added(bbox=[5, 5, 0, 9]), "without area, left out: 1, such as annotation 99 of images/b.png in"),
    "no number": (added(bbox=[5, 5, None, 9]), "not four finite numbers, left out: 1, such as annotation 99"),
    "twice": (added(bbox=[0, 0, 8, 9], category_id=7), "there twice, of which one is kept: 1, such as annotation 99"),
    "crowd": (added(iscrowd=1), "crowds or difficult objects, neither learnt nor counted as missed: 1, such as"),
    "no picture": (added(image_id=77), "pictures that are not there, left out: 1: annotation 99 is of picture 77"),
    "no objects": (
        lambda content: content["categories"].insert(0, {"id": 0, "name": "cells"}),
        "categories without an object, which are no classes: cells",
    ),
    "background": (
        lambda content: [content["categories"].append({"id": 0, "name": "background"}), added(category_id=0)(content)],
        "boxes of the class background, which is what lies outside of all boxes, left out: 1",
    ),
}


@pytest.mark.parametrize("change", ODD)
def test_odd_boxes_are_counted_and_the_others_kept(tmp_path: Path, change: str) -> None:
    make, said = ODD[change]
    examples = read(changed(tmp_path, make))
    assert any(said in note for note in examples.notes), examples.notes
    kept = {"outside in part": [("cat", 35, 25, 40, 30)], "crowd": [("cat", 10, 10, 15, 15)]}.get(change, [])
    assert edges(examples.target("boxes")) == [boxes + kept * (name == "b.png") for name, boxes in BOXES.items()]
    assert [box["crowd"] for box in examples.target("boxes")[1]] == [False, change == "crowd"][: 1 + len(kept)]


def test_many_objects_in_a_picture_are_told(tmp_path: Path) -> None:
    def crowded(content: dict[str, Any]) -> None:
        for k in range(120):
            added(id=100 + k, bbox=[k / 10, 5, 10, 10])(content)

    assert any(
        "more than 100 objects: 1, such as images/b.png with 121" in n for n in read(changed(tmp_path, crowded)).notes
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (first("category_id", 5), "annotation 0 is of class 5, which is not there; the categories are 3, 7"),
        (first("bbox", [1, 2, 3]), r"instances\.json: annotation 0 of images/a\.png has the bbox \[1, 2, 3\]"),
        (lambda content: content["images"].append({**content["images"][0], "id": 50}), "is there twice"),
        (lambda content: content["images"][0].update(width=80, height=60), "a.png 80x60 pixels; it has 40x30"),
        (
            lambda content: [
                one.update(bbox=[one["bbox"][0], one["bbox"][1], one["bbox"][0] + one["bbox"][2], 30])
                for one in content["annotations"]
            ],
            "fit their pictures as xyxy and not as xywh, such as .* --set format.box=xyxy",
        ),
        (
            lambda content: [one.update(bbox=[0.1, 0.1, 0.5, 0.5]) for one in content["annotations"]],
            "no number of any box is greater than 1",
        ),
    ],
)
def test_what_would_lay_boxes_elsewhere_is_refused_by_name(tmp_path: Path, change: Change, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(changed(tmp_path, change))


def test_a_layout_that_is_said_is_read(tmp_path: Path) -> None:
    def corners(content: dict[str, Any]) -> None:
        for one in content["annotations"]:
            x, y, width, height = one["bbox"]
            one["bbox"] = [x, y, x + width, y + height]

    examples = Coco(box="xyxy").read(changed(tmp_path, corners), Columns())
    assert edges(examples.target("boxes")) == list(BOXES.values())


def test_missing_pictures_are_left_out_where_some_are_there(tmp_path: Path) -> None:
    (save_boxed_coco(tmp_path) / "images/b.png").unlink()
    notes = [note for note in read(tmp_path).notes if isinstance(note, LeftOut)]
    assert notes == ["pictures that are annotated and not there, left out: 1, such as b.png of instances.json"]
    shutil.rmtree(tmp_path / "images")
    with pytest.raises(DataError, match=r"pictures are missing: a\.png"):
        read(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        ("train/_annotations.coco.json", "valid/_annotations.coco.json", "test/_annotations.coco.json"),
        ("annotations/instances_train.json", "annotations/instances_val.json", "annotations/instances_test.json"),
        ("train.json", "val.json", "test.json"),
    ],
)
def test_files_of_parts_are_a_given_split(tmp_path: Path, files: tuple[str, str, str]) -> None:
    for file, names in zip(files, (["a.png", "b.png"], ["c.png"], ["d.png"])):
        save_boxed_coco(tmp_path, file, names)
    examples = read(tmp_path)
    assert examples.schema.part and sorted(examples.column("part")) == ["test", "train", "train", "val"]


def test_lists_beside_the_file_are_a_given_split(tmp_path: Path) -> None:
    save_boxed_coco(tmp_path)
    lists = {"train": "a\ngone\n", "test": "c.png\n", "trainval": "a\nb\n"}
    for name, lines in lists.items():
        (tmp_path / f"{name}.txt").write_text(lines)
    examples = read(tmp_path)
    parts = {"images/a.png": "train", "images/b.png": "train", "images/c.png": "test"}
    assert dict(zip(examples.origins(), examples.column("part"))) == parts
    notes = [note for note in examples.notes if isinstance(note, LeftOut)]
    assert notes == [
        "pictures on no list, left out: 1, such as images/d.png",
        "pictures that are listed and not there, left out: 1, such as gone of train.txt",
    ]
    (tmp_path / "test.txt").write_text("a\nc\n")
    with pytest.raises(DataError, match=r"images/a\.png is named in test\.txt and in train\.txt"):
        read(tmp_path)


def test_the_group_of_labelled_video_is_the_video_and_objects_keep_their_tracks(tmp_path: Path) -> None:
    def of_video(content: dict[str, Any]) -> None:
        content["videos"] = [{"id": 1, "name": "street.mp4"}]
        for at, picture in enumerate(content["images"]):
            picture["video_id"] = 1 + at // 2
        content["annotations"][0]["track_id"] = 4
        content["annotations"][1]["attributes"] = {"track_id": 5}

    examples = read(changed(tmp_path, of_video))
    assert examples.column(str(examples.schema.group)) == ["street.mp4", "street.mp4", "2", "2"]
    assert [box["track"] for row in examples.target("boxes") for box in row] == [4, 5, None, None, None]
    assert read(tmp_path, Columns(group=r"(\w)\.png")).column("group") == ["a", "b", "c", "d"]


def test_neighbouring_frames_of_a_labelled_video_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    images = [{"id": k, "file_name": f"{k}.png", "width": 40, "height": 30, "video_id": k // 5} for k in range(40)]
    boxes = [{"id": k, "image_id": k, "category_id": 3, "bbox": [k % 20, 5, 10, 10]} for k in range(40)]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 3, "name": "cat"}]}
    (tmp_path / "frames.json").write_text(json.dumps(content))
    for k in range(40):
        Image.new("RGB", (40, 30), (6 * k, 0, 0)).save(tmp_path / f"{k}.png")
    examples = read(tmp_path)
    videos = np.array(examples.column(str(examples.schema.group)))
    parts = split(np.zeros(40, int), groups=videos.tolist(), seed=0)
    sides = [{*videos[rows].tolist()} for rows in (parts.train, parts.val, parts.test)]
    assert all(sides) and sum(map(len, sides)) == 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("stored", [True, False])
def test_boxes_turn_with_pictures_that_exif_turns(tmp_path: Path, orientation: int, stored: bool) -> None:
    """A white box on black, whose edges are looked for in the picture as it is shown."""
    image = Image.new("RGB", (WIDE, HIGH))
    image.paste((255, 255, 255), (3, 4, 13, 9))
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))[..., 0] > 0
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    x, y, right, bottom = (3, 4, 13, 9) if stored else found
    width, height = (WIDE, HIGH) if stored else shown.shape[::-1]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [int(v) for v in (x, y, right - x, bottom - y)]}
        ],
        "categories": [{"id": 1, "name": "box"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    told = "stored" if stored else "upright"
    reader = Coco() if orientation >= 5 else Coco(exif=told)  # where the sides change places, the sizes tell
    assert edges(reader.read(tmp_path, Columns()).target("boxes")) == [[("box", *found)]]
    if orientation in (2, 3, 4):
        with pytest.raises(DataError, match="do not tell whether their boxes lie over the pictures as stored"):
            read(tmp_path)


def test_outlines_become_masks_unless_a_task_or_a_setting_wants_boxes(tmp_path: Path) -> None:
    save_coco(tmp_path, range(2))
    assert read(tmp_path).schema.targets == {"mask": "mask"}
    asked = (read(tmp_path, Columns(target="boxes")), Coco(target="boxes").read(tmp_path, Columns()))
    for examples in asked:
        assert examples.schema.targets == {"boxes": "boxes"}
        assert edges(examples.target("boxes"))[0] == [("square", 4, 4, 14, 14)]  # the bounds of its outline
    assert Coco(target="masks").read(tmp_path, Columns(target="boxes")).schema.targets == {"mask": "mask"}


def test_the_task_that_is_asked_for_decides_what_outlines_become(tmp_path: Path) -> None:
    save_coco(tmp_path, range(4))
    for task, said in (("detection", "6 boxes of 2 classes in 4 pictures"), ("segmentation", "4 masks of 3 classes")):
        ended = CliRunner().invoke(app, ["inspect", str(tmp_path), "--task", task, "--json"])
        assert ended.exit_code == 0 and said in ended.output, ended.output
