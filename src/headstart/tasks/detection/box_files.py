"""Predicted boxes as one COCO file, which grows with every part of the pictures that is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.kernel.files import read_json, write_json
from headstart.tasks.detection.boxes import EDGES, LABEL, SCORE


def add_to_coco(
    file: Path, classes: Sequence[str], found: Sequence[np.ndarray], sizes: np.ndarray, names: Sequence[str]
) -> None:
    """Add pictures and their boxes to a COCO file, which is made where it is missing.

    Args:
        classes: their names, by number. found: boxes (boxes, 6) of each picture, see `boxes.py`.
        sizes: (pictures, 2) width and height. names: of the pictures' files.
    """
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(classes)]
    document: dict[str, Any] = {"images": [], "categories": categories, "annotations": []}
    if file.exists():
        document = read_json(file)
    images, annotations = document["images"], document["annotations"]
    for boxes, (width, height), name in zip(found, sizes.tolist(), names):
        images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
        for box in boxes:
            annotations.append({"id": len(annotations) + 1, "image_id": len(images), **_annotation(box)})
    write_json(file, document)


def _annotation(box: np.ndarray) -> dict[str, Any]:
    left, top, right, bottom = box[EDGES].round(2).tolist()
    width, height = round(right - left, 2), round(bottom - top, 2)
    place = {"bbox": [left, top, width, height], "area": round(width * height, 2), "iscrowd": 0}
    return {"category_id": int(box[LABEL]) + 1, **place, "score": round(float(box[SCORE]), 4)}
