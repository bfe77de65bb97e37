"""COCO's JSON of instances: which files are such, and what they say of each picture."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.kernel.errors import DataError, HeadstartError
from headstart.kernel.files import read_json

DEEPEST = 2
"""Levels of folders below the one that was given, at which JSON files are looked for."""


@dataclass(frozen=True)
class Picture:
    """A picture and the objects in it."""

    file: str
    height: int
    width: int
    objects: list[tuple[int, Any]] = field(default_factory=list)
    """(class from 1 on, polygons or run lengths as COCO writes them)"""


@dataclass(frozen=True)
class Instances:
    """One file."""

    path: Path
    classes: tuple[str, ...]
    """Names, of the classes 1, 2, ..."""
    pictures: tuple[Picture, ...]


def coco_files(source: Any) -> list[Path]:
    """The files of instances that a path is or holds, sorted; found by their content."""
    if not isinstance(source, (str, Path)) or source == "":
        return []
    path = Path(source)
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _has_shapes(path) else []
    if not path.is_dir():
        return []
    found = [file for depth in range(DEEPEST + 1) for file in path.glob("/".join(["*"] * depth + ["*.json"]))]
    return sorted(file for file in found if _has_shapes(file))


def read_instances(path: Path) -> Instances:
    """One file with its objects sorted to pictures. Raises DataError when it is damaged, naming what is wrong."""
    try:
        content = read_json(path)
        categories = sorted(content["categories"], key=lambda category: category["id"])
        number = {category["id"]: k for k, category in enumerate(categories, start=1)}
        pictures = {
            image["id"]: Picture(str(image["file_name"]), int(image["height"]), int(image["width"]))
            for image in content["images"]
        }
        for one in content["annotations"]:
            if one["image_id"] not in pictures:
                raise DataError(
                    f"{path}: annotation {one.get('id')} is of picture {one['image_id']}, which is not there"
                )
            if one["category_id"] not in number:
                raise DataError(
                    f"{path}: annotation {one.get('id')} is of class {one['category_id']}, which is not there"
                )
            pictures[one["image_id"]].objects.append((number[one["category_id"]], one.get("segmentation")))
        names = tuple(str(category["name"]) for category in categories)
    except (HeadstartError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as COCO instances: {type(error).__name__} {error}") from error
    return Instances(path, names, tuple(sorted(pictures.values(), key=lambda picture: picture.file)))


def _has_shapes(path: Path) -> bool:
    """Whether a JSON file has what COCO's files of shapes have, without parsing it."""
    try:
        if path.stat().st_size == 0:
            return False
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(f'"{key}"'.encode()) >= 0 for key in ("images", "annotations", "segmentation"))
    except OSError:
        return False
