"""COCO's JSON of instances with its pictures: outlines become a class for every pixel. Boxes stay boxes where there are
no outlines, or where a task wants them.

Several files are parts of a split where their names say so (`instances_train.json`, `val/annotations.json`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from headstart.contracts.box_labels import TARGET as BOXES
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns, streamed
from headstart.contracts.left_out import left_out
from headstart.formats._box_layouts import BoxLayout
from headstart.formats._boxed_pictures import Written
from headstart.formats._coco_boxes import with_boxes
from headstart.formats._coco_files import (
    BACKGROUND,
    MOST_CLASSES,
    UNKNOWN,
    Instances,
    coco_files,
    read_instances,
)
from headstart.formats._coco_pictures import Placed, placed, require_once, unnamed
from headstart.formats._exif_turns import Exif, refuse_sizes, turns_of
from headstart.formats._image_groups import groups_of
from headstart.formats._shapes import Drawn, boxed, drawn, laid_on
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.media.images import stored_size
from headstart.media.jpeg import MOST_PIXELS
from headstart.media.masks import encode_mask

BOXED = "objects without a pixel (no outline, fewer than 3 corners, tiny or outside), whose boxes are taken as unknown"
ANYWHERE = "objects without a pixel and without a box, which leave all but the other objects of their pictures unknown"
CROWD = "regions of crowds, whose pixels are taken as unknown"


class Coco(Settings):
    """A file of instances, or a folder with such files and the pictures."""

    target: Literal["masks", "boxes"] | None = None
    """'masks' or 'boxes': what annotations become; by default as the task reads them, else masks of outlines where
    there are any."""
    exif: Exif | None = None
    """'stored' or 'upright': how annotations lie over pictures that EXIF turns; by default as sizes tell."""
    box: BoxLayout = "xywh"
    """The numbers of a box: 'xywh', left, top, width and height as COCO has them, 'xyxy' or 'cxcywh'."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Which files."""
        files = coco_files(source)
        return f"COCO instances in {', '.join(file.name for file in files[:3])}" if files else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per picture that the files name: path, mask or boxes, part where parts are given, and group.

        The group is that of `columns.group`, or the video of a picture.

        Raises:
            DataError: damaged files, files with different classes, or pictures that are missing.
        """
        path = Path(source)
        root = path.parent if path.is_file() else path
        files = [read_instances(file) for file in coco_files(path)]
        if not files:
            raise DataError(f"{path} holds no COCO instances: a JSON file with images, annotations and segmentations")
        if not self._wants_boxes(files, columns):
            _require_masks(files)
            rows = [row for file in files for row in placed(file, root)]
            require_once(rows)
            return _examples(root, rows, files, columns, self.exif, labelled=labelled)
        known = {file.path for file in files}
        files += [read_instances(file) for file in coco_files(path, boxes=True) if file not in known]
        missing: list[str] = []
        rows = [row for file in files for row in placed(file, root, missing)]
        require_once(rows)
        notes = [*left_out(missing, "pictures that are annotated and not there"), *unnamed(root, rows)]
        written = Written(self.box, exif=self.exif, settle="format.box")
        return with_boxes(root, rows, files, written, columns, notes, labelled=labelled)

    def _wants_boxes(self, files: Sequence[Instances], columns: Columns) -> bool:
        """Return what annotations become: as was said, as the task reads them, or as they are."""
        if self.target is not None or columns.target in ("mask", BOXES):
            return self.target == "boxes" if self.target is not None else columns.target == BOXES
        objects = [one for file in files for picture in file.pictures for one in picture.objects]
        return any(one.box for one in objects) and not any(one.shape for one in objects)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The pictures without masks, some `rows` at a time."""
        return streamed(self, source, columns, rows)


def _require_masks(files: Sequence[Instances]) -> None:
    """Refuse what masks cannot hold. Raises DataError."""
    for file in files:
        fault = next(iter(file.strays), "")
        if len(file.classes) > MOST_CLASSES:
            fault = f"it has {len(file.classes)} categories; a mask holds at most {MOST_CLASSES}"
        if fault:
            raise DataError(f"{file.path} cannot be read as COCO instances: {fault}")


def _examples(
    root: Path,
    rows: Sequence[Placed],
    files: Sequence[Instances],
    columns: Columns,
    exif: Exif | None,
    *,
    labelled: bool,
) -> Examples:
    table = {"path": pa.array([row.path for row in rows], pa.string())}
    schema: dict[str, Any] = {}
    notes: list[str] = [*unnamed(root, rows)]
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


def _require_sizes(root: Path, rows: Sequence[Placed], *, as_stored: bool) -> None:
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
    refuse_sizes(faults, len(rows))


def _masks(root: Path, rows: Sequence[Placed]) -> tuple[list[bytes], list[str]]:
    """The mask of each picture, and what of them is unknown. Raises DataError where no object has an outline."""
    unknown: dict[str, list[str]] = {}
    masks = [_mask(row, unknown) for row in rows]
    if sum(map(len, unknown.values())) == sum(len(row.picture.objects) for row in rows):
        raise DataError(f"{root}: labels are wanted, and no annotation has a segmentation of an object")
    return masks, [f"{why}: {len(places)}, such as {places[0]}" for why, places in sorted(unknown.items())]


def _mask(row: Placed, unknown: dict[str, list[str]]) -> bytes:
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
