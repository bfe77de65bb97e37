"""The same few pictures with boxes, written as the formats have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 40, 30

BOXES: dict[str, list[tuple[str, float, float, float, float]]] = {
    "a.png": [("cat", 3, 4, 13, 24), ("dog", 20, 2, 40, 12)],
    "b.png": [("dog", 0, 0, 8, 9)],
    "c.png": [],
    "d.png": [("cat", 1, 1, 39, 29), ("cat", 5, 6, 9, 12)],
}
"""Left, top, right and bottom; one picture has no objects."""

CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]


def save_pictures(folder: Path, names: list[str] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in BOXES if names is None else names:
        pixels = np.random.default_rng(ord(name[0])).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


def coco_content(names: list[str] | None = None) -> dict[str, Any]:
    """Ids with holes, and no areas."""
    number = {str(one["name"]): one["id"] for one in CATEGORIES}
    kept = {name: boxes for name, boxes in BOXES.items() if names is None or name in names}
    images = [{"id": 10 + 3 * at, "file_name": name, "width": WIDTH, "height": HEIGHT} for at, name in enumerate(kept)]
    annotations = [
        {"id": 5 * at + k, "image_id": 10 + 3 * at, "category_id": number[label], "bbox": [x, y, r - x, b - y]}
        for at, boxes in enumerate(kept.values())
        for k, (label, x, y, r, b) in enumerate(boxes)
    ]
    return {"images": images, "annotations": annotations, "categories": [dict(one) for one in CATEGORIES]}


def save_boxed_coco(folder: Path, name: str = "instances.json", names: list[str] | None = None) -> Path:
    """`images/` and a file beside it."""
    save_pictures(folder / "images", names)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(coco_content(names)))
    return folder


def edges(rows: list[list[dict[str, Any]]]) -> list[list[tuple[Any, ...]]]:
    """Label and edges of the boxes of each picture."""
    return [[(box["label"], box["left"], box["top"], box["right"], box["bottom"]) for box in row] for row in rows]


def save_boxed_voc(folder: Path, *, objects: bool = True) -> Path:
    """`JPEGImages/` and `Annotations/`, with numbers of pixels from 1 on."""
    save_pictures(folder / "JPEGImages")
    (folder / "Annotations").mkdir(exist_ok=True)
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    for name, boxes in BOXES.items():
        found = "".join(
            f"<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
            f"<xmax>{r}</xmax><ymax>{b}</ymax></bndbox></object>"
            for label, x, y, r, b in boxes
        )
        whole = f"<annotation><filename>{name}</filename>{size}{found if objects else ''}</annotation>"
        (folder / "Annotations" / name.replace(".png", ".xml")).write_text(whole)
    return folder


def save_boxed_yolo(folder: Path, *, labels: bool = True) -> Path:
    """`images/train`, `labels/train` and `data.yaml`, with six digits, as tools write them."""
    save_pictures(folder / "images" / "train")
    (folder / "labels" / "train").mkdir(parents=True, exist_ok=True)
    names = ["dog", "cat"]
    for name, boxes in BOXES.items() if labels else ():
        lines = [
            f"{names.index(label)} {(x + r) / 2 / WIDTH:.6f} {(y + b) / 2 / HEIGHT:.6f} {(r - x) / WIDTH:.6f} "
            f"{(b - y) / HEIGHT:.6f}\n"
            for label, x, y, r, b in boxes
        ]
        (folder / "labels" / "train" / name.replace(".png", ".txt")).write_text("".join(lines))
    (folder / "data.yaml").write_text("path: .\ntrain: images/train\nnc: 2\nnames: [dog, cat]\n")
    return folder


def box_rows() -> list[list[str]]:
    """A row for each box, and one without numbers for the picture without objects."""
    rows = [[name, label, *map(str, edges)] for name, boxes in BOXES.items() for label, *edges in boxes]
    return [*rows, *([name, "", "", "", "", ""] for name, boxes in BOXES.items() if not boxes)]


def save_box_table(folder: Path, *, boxes: bool = True) -> Path:
    """Pictures and a table beside them."""
    save_pictures(folder)
    rows = box_rows() if boxes else [[name, "", "", "", "", ""] for name in BOXES]
    lines = ["filename,class,xmin,ymin,xmax,ymax", *(",".join(row) for row in rows)]
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return folder / "boxes.csv"


def save_boxed_mot(folder: Path, *, boxes: bool = True) -> Path:
    """Sequences `one` and `two` of the pictures, each object with the track of its place in the list."""
    for sequence in ("one", "two"):
        place = folder / sequence
        save_pictures(place / "img1")
        (place / "gt").mkdir(parents=True)
        lines = []
        for number, (name, found) in enumerate(BOXES.items(), start=1):
            (place / "img1" / name).rename(place / "img1" / f"{number:06d}.png")
            for track, (_, x, y, r, b) in enumerate(found, start=1):
                lines.append(f"{number},{track},{x},{y},{r - x},{b - y},1,1,1.0\n")
        (place / "gt" / "gt.txt").write_text("".join(lines) if boxes else "")
    return folder
