"""COCO's JSON of instances with its pictures: polygons and run lengths become a class for every pixel.

Several files are parts of a split where their names say so (`instances_train.json`, `val/annotations.json`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.formats._coco_files import Instances, Picture, coco_files, read_instances
from headstart.formats._image_groups import groups_of
from headstart.formats._parts import part_of
from headstart.formats._shapes import drawn, laid_on
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.media.images import image_size
from headstart.media.jpeg import MOST_PIXELS
from headstart.media.masks import encode_mask

BACKGROUND = "background"


class _Row(NamedTuple):
    path: str
    """Of the picture, from the root."""
    picture: Picture
    part: str
    file: Path
    """That names it."""


class Coco(Settings):
    """A file of instances, or a folder with such files and the pictures."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Which files."""
        files = coco_files(source)
        return f"COCO instances in {', '.join(file.name for file in files[:3])}" if files else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per picture that the files name: path, mask, part where parts are given, group by `columns.group`.

        Raises:
            DataError: damaged files, files with different classes, or pictures that are missing.
        """
        path = Path(source)
        root = path.parent if path.is_file() else path
        files = [read_instances(file) for file in coco_files(path)]
        if not files:
            raise DataError(f"{path} holds no COCO instances: a JSON file with images, annotations and segmentations")
        rows = [row for file in files for row in _placed(file, root)]
        if labelled and not any(one.shape for row in rows for one in row.picture.objects):
            raise DataError(f"{path}: labels are wanted, and no annotation has a segmentation")
        return _examples(root, rows, files, columns, labelled=labelled)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The pictures without masks, some `rows` at a time."""
        examples = self.read(source, columns.model_copy(update={"group": None}), labelled=False)
        for start in range(0, len(examples), rows):
            yield examples.take(range(start, min(start + rows, len(examples))))


def _placed(file: Instances, root: Path) -> list[_Row]:
    """The pictures of a file where they lie: beside it, in a folder beside or above it, or as they are named."""
    near = [file.path.parent, *(folder for folder in sorted(file.path.parent.iterdir()) if folder.is_dir())]
    near += [root, *(folder for folder in sorted(root.iterdir()) if folder.is_dir())]
    near += [root / "images" / word for word in re.split(r"[_. -]", file.path.stem)]
    words = [*re.split(r"[_. -]", file.path.stem), file.path.parent.name]
    part = next((part for part in map(part_of, words) if part), "")
    rows, missing = [], []
    for picture in file.pictures:
        places = (os.path.relpath(folder / picture.file, root) for folder in near)
        place = next((place for place in places if _lies_in(root, place)), None)
        if place is None:
            missing.append(picture.file)
        else:
            rows.append(_Row(place, picture, part, file.path))
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataError(f"{file.path}: pictures are missing: {', '.join(missing[:3])}{more}; they must lie in {root}")
    return rows


def _lies_in(root: Path, place: str) -> bool:
    try:
        return Path(place).parts[:1] != ("..",) and (root / place).exists()
    except OSError:  # such as a name that is too long
        return False


def _examples(
    root: Path, rows: Sequence[_Row], files: Sequence[Instances], columns: Columns, *, labelled: bool
) -> Examples:
    table = {"path": pa.array([row.path for row in rows], pa.string())}
    schema: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    if labelled:
        classes = _same_classes(files)
        _require_sizes(root, rows)
        masks = [_mask(row) for row in rows]
        table["mask"] = pa.array(masks, pa.binary())
        legend = {str(number): name for number, name in enumerate((BACKGROUND, *classes))}
        schema |= {"targets": {"mask": "mask"}, "legend": legend}
        if len(files) > 1 and all(row.part for row in rows):
            table["part"] = pa.array([row.part for row in rows], pa.string())
            schema["part"] = "part"
    if columns.group is not None:
        table["group"], notes = groups_of(columns.group, [row.path for row in rows])
        schema["group"] = "group"
    found = Schema(modality="image", inputs=("path",), origin="path", root=str(root), **schema)
    return Examples(pa.table(table), found, notes)


def _require_sizes(root: Path, rows: Sequence[_Row]) -> None:
    """Refuse sizes that are not those of the pictures, before masks of these sizes are made. Raises DataError."""
    faults = []
    for path, picture, _, file in rows:
        try:
            width, height = image_size(root / path)
        except DataError:  # such pictures are named later, with the others that cannot be read
            width, height = picture.width, picture.height
        if (picture.height, picture.width) != (height, width) or height * width > MOST_PIXELS:
            faults.append(f"{file} gives {path} {picture.width}x{picture.height} pixels; it has {width}x{height}")
    if faults:
        more = f"\n  and {len(faults) - 3} more" if len(faults) > 3 else ""
        listed = "\n".join(f"  {fault}" for fault in faults[:3])
        said = f"{len(faults)} of {len(rows)} pictures have other sizes than their annotations say"
        raise DataError(f"{said}:\n{listed}{more}")


def _mask(row: _Row) -> bytes:
    """Of one picture. Raises DataError."""
    height, width, found = row.picture.height, row.picture.width, []
    for number, shape, about in row.picture.objects:
        try:
            found += [(number, drawn(shape, height, width))] if shape else []
        except DataError as error:
            raise DataError(f"{row.file}: {about} of {row.path}: {error}") from error
    return encode_mask(laid_on(found, height, width))


def _same_classes(files: Sequence[Instances]) -> tuple[str, ...]:
    first = files[0]
    for other in files[1:]:
        if other.classes != first.classes:
            raise DataError(f"{first.path} has the classes {first.classes}, {other.path} has {other.classes}")
    return first.classes
