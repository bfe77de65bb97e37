"""Predicted boxes as one COCO file. Pictures are noted line by line as they are predicted, and joined when all are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.tasks.detection.boxes import EDGES, LABEL, SCORE

COCO, LINES = "coco.json", "coco.json.lines"


def note_pictures(folder: Path, found: Sequence[np.ndarray], sizes: np.ndarray, names: Sequence[str]) -> None:
    """Note pictures and their boxes, a line of JSON each, after those that are there.

    Args:
        found: boxes (boxes, 6) of each picture, see `boxes.py`. sizes: (pictures, 2) width and height.
        names: of the pictures' files.
    """
    with open(folder / LINES, "a", encoding="utf-8") as lines:
        for boxes, (width, height), name in zip(found, sizes.tolist(), names):
            image = {"file_name": name, "width": width, "height": height}
            lines.write(json.dumps([image, [_annotation(box) for box in boxes]], ensure_ascii=False) + "\n")


def join_pictures(folder: Path, classes: Sequence[str]) -> None:
    """Write the COCO file of all that was noted, if anything was; a picture is in memory at a time.

    Args:
        classes: their names, by number.
    """
    if not (folder / LINES).exists():
        return
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(classes)]
    with open(folder / COCO, "w", encoding="utf-8") as file:
        file.write(f'{{"categories": {json.dumps(categories, ensure_ascii=False)},\n"images": [')
        images = ({"id": at, **image} for at, (image, _) in enumerate(_noted(folder), 1))
        _write(file, images)
        file.write('],\n"annotations": [')
        boxes = ((at, box) for at, (_, boxes) in enumerate(_noted(folder), 1) for box in boxes)
        _write(file, ({"id": number, "image_id": at, **box} for number, (at, box) in enumerate(boxes, 1)))
        file.write("]}\n")
    (folder / LINES).unlink()


def _noted(folder: Path) -> Iterator[Any]:
    with open(folder / LINES, encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _write(file: Any, entries: Iterator[dict[str, Any]]) -> None:
    for at, entry in enumerate(entries):
        file.write(("," if at else "") + "\n" + json.dumps(entry, ensure_ascii=False))


def _annotation(box: np.ndarray) -> dict[str, Any]:
    left, top, right, bottom = box[EDGES].round(2).tolist()
    width, height = round(right - left, 2), round(bottom - top, 2)
    place = {"bbox": [left, top, width, height], "area": round(width * height, 2), "iscrowd": 0}
    return {"category_id": int(box[LABEL]) + 1, **place, "score": round(float(box[SCORE]), 4)}
