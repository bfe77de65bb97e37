"""Boxes of real pictures (BCCD) in three formats: do they train to the same bits, and are planted faults named?

COCO, Pascal VOC and YOLO hold the same boxes. Each of twelve faults that change boxes in silence is planted alone in a
copy of 40 pictures; it counts where the data are refused in words that name it, or where the boxes come out as they
were and a note tells of it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks._data import data_folder, own_cache
from headstart import fit
from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.evidence.splits import split
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_bytes
from headstart.pipeline.data import read_examples

PLANTED, TRAINED = 40, 90
"""Pictures in which faults are planted, and that are trained on."""

Boxes = dict[str, list[tuple[str, float, float, float, float]]]


class Data:
    """Pictures with their boxes as edges, and a folder for each form."""

    def __init__(self, home: Path, count: int) -> None:
        source = data_folder() / "data" / "det_bccd"
        content = json.loads((source / "coco.json").read_text())
        self.source, self.home = source / "images", home
        self.coco: dict[str, Any] = {**content, "images": content["images"][:count]}
        kept = {one["id"]: one for one in self.coco["images"]}
        self.coco["annotations"] = [one for one in content["annotations"] if one["image_id"] in kept]
        self.sizes = {one["file_name"]: (one["width"], one["height"]) for one in kept.values()}
        self.names = [one["name"] for one in content["categories"]]
        self.boxes: Boxes = {name: [] for name in self.sizes}
        label = {one["id"]: one["name"] for one in content["categories"]}
        for one in self.coco["annotations"]:
            x, y, width, height = one["bbox"]
            place = (label[one["category_id"]], x, y, x + width, y + height)
            self.boxes[kept[one["image_id"]]["file_name"]].append(place)

    def folder(self, name: str, pictures: str = "images") -> Path:
        """A new folder with links to the pictures."""
        place = self.home / name
        (place / pictures).mkdir(parents=True)
        for file in self.boxes:
            os.symlink(self.source / file, place / pictures / file)
        return place

    def as_coco(self, name: str, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
        content = json.loads(json.dumps(self.coco))
        if change is not None:
            change(content)
        place = self.folder(name)
        (place / "instances.json").write_text(json.dumps(content))
        return place

    def as_voc(self, name: str, *, whole: bool = False) -> Path:
        """With edges; `whole` has whole pixels from 1 on, inclusive."""
        place = self.folder(name, "JPEGImages")
        (place / "Annotations").mkdir()
        for file, boxes in self.boxes.items():
            width, height = self.sizes[file]
            parts = [f"<size><width>{width}</width><height>{height}</height></size>"]
            for label, *edges in boxes:
                numbers = [edges[0] + 1, edges[1] + 1, *edges[2:]] if whole else edges
                tags = zip(("xmin", "ymin", "xmax", "ymax"), map(int, numbers) if whole else numbers)
                box = "".join(f"<{tag}>{number}</{tag}>" for tag, number in tags)
                parts.append(f"<object><name>{label}</name><bndbox>{box}</bndbox></object>")
            text = f"<annotation><filename>{file}</filename>{''.join(parts)}</annotation>"
            (place / "Annotations" / file).with_suffix(".xml").write_text(text)
        return place

    def as_yolo(self, name: str, *, first: int = 0) -> Path:
        """With six digits, as tools write them; `first` is the number of the first class."""
        place = self.folder(name)
        (place / "labels").mkdir()
        for file, boxes in self.boxes.items():
            width, height = self.sizes[file]
            lines = [
                f"{self.names.index(label) + first} {(x + r) / 2 / width:.6f} {(y + b) / 2 / height:.6f} "
                f"{(r - x) / width:.6f} {(b - y) / height:.6f}\n"
                for label, x, y, r, b in boxes
            ]
            (place / "labels" / file).with_suffix(".txt").write_text("".join(lines))
        (place / "data.yaml").write_text(f"train: images\nnames: {json.dumps(self.names)}\n")
        return place


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Twelve faults; and three fits (`quick`: with one epoch)."""
    with tempfile.TemporaryDirectory() as folder, own_cache():
        planted = {name: bool(holds) for name, holds in _planted(Data(Path(folder) / "planted", PLANTED)).items()}
        data = Data(Path(folder) / "trained", TRAINED)
        forms = {"coco": data.as_coco("coco"), "voc": data.as_voc("voc"), "yolo": data.as_yolo("yolo")}
        bits = {name: _trained(place, Path(folder) / f"run-{name}", 1 if quick else 5) for name, place in forms.items()}
    measured: dict[str, float | None] = {
        "detection_formats.named": float(sum(planted.values())),
        "detection_formats.same_bits": float(len({*bits.values()}) == 1),
    }
    return measured, {"planted": planted, "weights": bits, "pictures": {"planted": PLANTED, "trained": TRAINED}}


def _trained(place: Path, out: Path, epochs: int) -> str:
    """A hash of the weights of a head that was trained on kept maps."""
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    settings = {"tuning": {"epochs": epochs}}
    fit(place, out=out, task="detection", backbone=weights, tuning="head_only", settings=settings, scratch=False)
    return hash_bytes(*(file.read_bytes() for file in sorted((out / "model").rglob("*.safetensors"))))


def _planted(data: Data) -> dict[str, bool]:
    boxes = data.boxes
    whole = Data(data.home / "whole", PLANTED)
    whole.boxes = {
        file: [
            (label, float(round(x)), float(round(y)), float(round(r)), float(round(b))) for label, x, y, r, b in found
        ]
        for file, found in boxes.items()
    }

    def corners(content: dict[str, Any]) -> None:
        for one in content["annotations"]:
            x, y, width, height = one["bbox"]
            one["bbox"] = [x, y, x + width, y + height]

    def holes(content: dict[str, Any]) -> None:
        number = {1: 90, 2: 7, 3: 40}
        for one in content["categories"]:
            one["id"] = number[one["id"]]
        for one in content["annotations"]:
            one["category_id"] = number[one["category_id"]]
        content["categories"].insert(0, {"id": 0, "name": "cells"})

    def changed(field: str, value: Any) -> Callable[[dict[str, Any]], None]:
        return lambda content: content["annotations"][0].update({field: value})

    def more(**fields: Any) -> Callable[[dict[str, Any]], None]:
        one = {"id": 10**6, "image_id": 1, "category_id": 1, **fields}
        return lambda content: content["annotations"].append(one)

    def videos(content: dict[str, Any]) -> None:
        for at, one in enumerate(content["images"]):
            one["video_id"] = at // 4

    crowd = _read(data.as_coco("crowd", changed("iscrowd", 1)))
    clipped = _read(data.as_coco("clipped", more(bbox=[300, 200, 90, 90])))
    return {
        "classes numbered from 1": _refused(data.as_yolo("from 1", first=1), "start at 1, and YOLO's start at 0"),
        "ids with holes, a class above": _same(_read(data.as_coco("holes", holes)), boxes, "are no classes: cells"),
        "background as a class": _same(
            _read(data.as_coco("background", _background)), boxes, "class background, which is what lies outside"
        ),
        "corners in place of sizes": _refused(data.as_coco("corners", corners), "as xyxy and not as xywh"),
        "VOC's inclusive pixels": _same(_read(whole.as_voc("whole", whole=True)), whole.boxes, "from 1 on"),
        "EXIF turns pictures": _same(_read(_turned(data)), boxes, "are turned by EXIF"),
        "boxes outside": "clipped: 1" in _notes(clipped) and clipped.target("boxes")[0][-1]["right"] == 320,
        "boxes without area": _same(_read(data.as_coco("flat", more(bbox=[5, 5, 0, 9]))), boxes, "area, left out: 1"),
        "pictures without objects": _without_objects(data),
        "crowds as objects": [box["crowd"] for box in crowd.target("boxes")[0]].count(True) == 1,
        "two annotations of a picture": _refused(
            data.as_coco("twice", lambda c: c["images"].append({**c["images"][0], "id": 999})), "is there twice"
        ),
        "neighbouring frames on both sides": _by_video(_read(data.as_coco("video", videos))),
    }


def _background(content: dict[str, Any]) -> None:
    content["categories"].append({"id": 9, "name": "background"})
    content["annotations"].append({"id": 10**6, "image_id": 1, "category_id": 9, "bbox": [1, 1, 90, 90]})


def _turned(data: Data) -> Path:
    """The first picture stored on its side, its boxes given over the stored pixels."""
    place = data.as_coco("turned", lambda content: content["images"][0].update(width=240, height=320))
    content = json.loads((place / "instances.json").read_text())
    file = place / "images" / content["images"][0]["file_name"]
    shown = Image.open(data.source / file.name)
    exif = Image.Exif()
    exif[274] = 6  # stored pixels are turned to the right when they are shown
    file.unlink()
    shown.transpose(Image.Transpose.ROTATE_90).save(file, exif=exif)
    for one in content["annotations"]:
        if one["image_id"] == content["images"][0]["id"]:
            x, y, width, height = one["bbox"]
            one["bbox"] = [y, 320 - x - width, height, width]
    (place / "instances.json").write_text(json.dumps(content))
    return place


def _without_objects(data: Data) -> bool:
    place = data.as_yolo("bare")
    (place / "labels" / next(iter(data.boxes))).with_suffix(".txt").write_text("")
    examples = _read(place)
    return len(examples) == PLANTED and examples.target("boxes")[0] == [] and "without objects: 1" in _notes(examples)


def _by_video(examples: Examples) -> bool:
    videos = np.array(examples.column(str(examples.schema.group)))
    parts = split(np.zeros(len(videos), int), groups=videos.tolist(), seed=0)
    sides = [{*videos[rows].tolist()} for rows in (parts.train, parts.val, parts.test)]
    return all(sides) and sum(map(len, sides)) == len({*videos.tolist()})


def _read(place: Path) -> Examples:
    return read_examples(place, Columns())[0]


def _notes(examples: Examples) -> str:
    return "\n".join(examples.notes)


def _refused(place: Path, said: str) -> bool:
    try:
        _read(place)
    except DataError as error:
        return said in str(error)
    return False


def _same(examples: Examples, boxes: Boxes, said: str) -> bool:
    """Return whether the boxes came out as they were, and a note tells; in order for all pictures."""
    found = {
        Path(origin).name: [(box["label"], *(box[key] for key in ("left", "top", "right", "bottom"))) for box in row]
        for origin, row in zip(examples.origins(), examples.target("boxes"))
    }
    return (
        said in _notes(examples) and found.keys() == boxes.keys() and all(found[name] == boxes[name] for name in boxes)
    )
