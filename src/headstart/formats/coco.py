"""COCO's JSON of instances with its pictures: polygons and run lengths become a class for every pixel.

Several files are parts of a split where their names say so (`instances_train.json`, `val/annotations.json`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.left_out import left_out
from headstart.formats._coco_files import BACKGROUND, UNKNOWN, Instances, Picture, coco_files, read_instances
from headstart.formats._exif_turns import Exif, turns_of
from headstart.formats._image_groups import groups_of
from headstart.formats._image_scan import is_image_path
from headstart.formats._parts import part_of
from headstart.formats._shapes import Drawn, boxed, drawn, laid_on
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.media.images import stored_size
from headstart.media.jpeg import MOST_PIXELS
from headstart.media.masks import encode_mask

BOXED = "objects without a pixel (no outline, fewer than 3 corners, tiny or outside), whose boxes are taken as unknown"
ANYWHERE = "objects without a pixel and without a box, which leave all but the other objects of their pictures unknown"
CROWD = "regions of crowds, whose pixels are taken as unknown"


class _Row(NamedTuple):
    path: str
    """Of the picture, from the root."""
    picture: Picture
    part: str
    file: Path
    """That names it."""


class Coco(Settings):
    """A file of instances, or a folder with such files and the pictures."""

    exif: Exif | None = None
    """'stored' or 'upright': how outlines lie over pictures that EXIF turns; by default as sizes tell."""

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
        _require_once(rows)
        return _examples(root, rows, files, columns, self.exif, labelled=labelled)

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


def _require_once(rows: Sequence[_Row]) -> None:
    """Refuse a picture with its objects in two places, save in two parts, which is told of. Raises DataError."""
    first: dict[tuple[str, str], _Row] = {}
    for row in rows:
        other = first.setdefault((row.path, row.part), row)
        if other is not row:
            raise DataError(
                f"{row.path} is there twice, as {other.picture.file} in {other.file} and as {row.picture.file} in "
                f"{row.file}: each would lack the objects of the other. Keep one record of it, with all its objects"
            )


def _lies_in(root: Path, place: str) -> bool:
    try:
        return Path(place).parts[:1] != ("..",) and (root / place).exists()
    except OSError:  # such as a name that is too long
        return False


def _examples(
    root: Path, rows: Sequence[_Row], files: Sequence[Instances], columns: Columns, exif: Exif | None, *, labelled: bool
) -> Examples:
    table = {"path": pa.array([row.path for row in rows], pa.string())}
    schema: dict[str, Any] = {}
    notes = _unnamed(root, rows)
    if labelled:
        classes = _same_classes(files)
        sizes = ((row.path, (row.picture.width, row.picture.height)) for row in rows)
        turns = turns_of(root, sizes, exif, "outlines")
        _require_sizes(root, rows, as_stored=turns.as_stored)
        masks, about_masks = _masks(root, rows)
        table["mask"] = pa.array(masks, pa.binary())
        legend = {str(number): name for number, name in enumerate((BACKGROUND, *classes))}
        schema |= {"targets": {"mask": "mask"}, "legend": legend, "unknown": (UNKNOWN,)}
        schema["as_stored"] = turns.as_stored
        notes += [*turns.notes, *about_masks]
        if len(files) > 1 and all(row.part for row in rows):
            table["part"] = pa.array([row.part for row in rows], pa.string())
            schema["part"] = "part"
    if columns.group is not None:
        table["group"], more = groups_of(columns.group, [row.path for row in rows])
        schema["group"], notes = "group", [*notes, *more]
    found = Schema(modality="image", inputs=("path",), origin="path", root=str(root), **schema)
    return Examples(pa.table(table), found, tuple(notes))


def _unnamed(root: Path, rows: Sequence[_Row]) -> list[str]:
    """A note on pictures that lie beside those of the files and that no file names."""
    used = {row.path for row in rows}
    folders = sorted({os.path.dirname(path) for path in used})
    beside = (os.path.join(folder, name) for folder in folders for name in sorted(os.listdir(root / folder)))
    others = [path for path in beside if path not in used and is_image_path(path)]
    return [*left_out(others, "pictures that no annotations name")]


def _require_sizes(root: Path, rows: Sequence[_Row], *, as_stored: bool) -> None:
    """Refuse sizes that are not those of the pictures, before masks of these sizes are made. Raises DataError."""
    faults = []
    for path, picture, _, file in rows:
        try:
            found = stored_size(root / path)
            width, height = found[:2] if as_stored else found.upright
        except DataError:  # such pictures are named later, with the others that cannot be read
            width, height = picture.width, picture.height
        if (picture.height, picture.width) != (height, width) or height * width > MOST_PIXELS:
            faults.append(f"{file} gives {path} {picture.width}x{picture.height} pixels; it has {width}x{height}")
    if faults:
        more = f"\n  and {len(faults) - 3} more" if len(faults) > 3 else ""
        listed = "\n".join(f"  {fault}" for fault in faults[:3])
        said = f"{len(faults)} of {len(rows)} pictures have other sizes than their annotations say"
        raise DataError(f"{said}:\n{listed}{more}")


def _masks(root: Path, rows: Sequence[_Row]) -> tuple[list[bytes], list[str]]:
    """The mask of each picture, and what of them is unknown. Raises DataError where no object has an outline."""
    unknown: dict[str, list[str]] = {}
    masks = [_mask(row, unknown) for row in rows]
    if sum(map(len, unknown.values())) == sum(len(row.picture.objects) for row in rows):
        raise DataError(f"{root}: labels are wanted, and no annotation has a segmentation of an object")
    return masks, [f"{why}: {len(places)}, such as {places[0]}" for why, places in sorted(unknown.items())]


def _mask(row: _Row, unknown: dict[str, list[str]]) -> bytes:
    """Of one picture; objects without pixels leave their box `unknown`, under all others. Raises DataError."""
    height, width = row.picture.height, row.picture.width
    found: list[tuple[int, Drawn]] = []
    beneath: list[tuple[int, Drawn]] = []
    for one in row.picture.objects:
        try:
            inside = drawn(one.shape, height, width)
            box = None if inside.inside.any() else boxed(one.box, height, width)
        except DataError as error:
            raise DataError(f"{row.file}: {one.about} of {row.path}: {error}") from error
        where = f"{one.about} of {row.path} in {row.file.name}"
        if box is not None:
            beneath.append((UNKNOWN, box))
            unknown.setdefault(BOXED if one.box else ANYWHERE, []).append(where)
        elif one.crowd:
            beneath.append((UNKNOWN, inside))
            unknown.setdefault(CROWD, []).append(where)
        else:
            found.append((one.number, inside))
    return encode_mask(laid_on(found, laid_on(beneath, np.zeros((height, width), np.uint8))))


def _same_classes(files: Sequence[Instances]) -> tuple[str, ...]:
    first = files[0]
    for other in files[1:]:
        if other.classes != first.classes:
            raise DataError(f"{first.path} has the classes {first.classes}, {other.path} has {other.classes}")
    return first.classes
