"""The annotations of COCO's files as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut
from headstart.formats._boxed_pictures import (
    BACKGROUND,
    BoxedPicture,
    FoundBox,
    Written,
    boxed_examples,
    unlabelled_pictures,
)
from headstart.formats._coco_files import Instances, Outlined, Picture
from headstart.formats._coco_pictures import Placed
from headstart.formats._shapes import drawn
from headstart.formats._split_lists import listed_parts
from headstart.kernel.errors import DataError


def with_boxes(
    root: Path,
    rows: Sequence[Placed],
    files: Sequence[Instances],
    written: Written,
    columns: Columns,
    notes: Sequence[LeftOut],
    *,
    labelled: bool,
) -> Examples:
    """One row per picture, in the parts of the files or of lists beside them.

    Raises:
        DataError: as `boxed_examples`; or labels are wanted, and there is no box.
    """
    listed = None if all(row.part for row in rows) else listed_parts(root, [row.path for row in rows])
    if listed is not None:
        rows = [row._replace(part=listed.of[row.path]) for row in rows if row.path in listed.of]
        notes = [*notes, *listed.notes]
    elif len(files) == 1:
        rows = [row._replace(part="") for row in rows]
    if not labelled:
        return unlabelled_pictures(root, [row.path for row in rows], columns, notes)
    classes = {file.path: file.classes for file in files}
    pictures = [_boxed(row, classes[row.file]) for row in rows]
    if not any(picture.boxes for picture in pictures):
        raise DataError(f"{root}: labels are wanted, and no annotation has a box of an object")
    strays = [f"{said} in {file.path.name}" for file in files for said in file.strays]
    told = [f"annotations of pictures that are not there, left out: {len(strays)}: {strays[0]}"] if strays else []
    return boxed_examples(root, pictures, written, columns, [*notes, *told, *_empty_classes(files, pictures)])


def _boxed(row: Placed, classes: Sequence[str]) -> BoxedPicture:
    picture = row.picture
    boxes = [_box(one, row, classes) for one in picture.objects]
    return BoxedPicture(row.path, str(row.file), (picture.width, picture.height), row.part, picture.video, boxes)


def _box(one: Outlined, row: Placed, classes: Sequence[str]) -> FoundBox:
    """One object's box, that of its outline where it has none. Raises DataError."""
    about = f"{one.about} of {row.path} in {row.file.name}"
    track = one.track if isinstance(one.track, int) and not isinstance(one.track, bool) else None
    label = classes[one.number - 1] if one.number else BACKGROUND
    try:
        numbers = np.asarray(one.box or _outline_box(one.shape, row.picture), np.float64)
        if numbers.shape != (4,):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{row.file}: {one.about} of {row.path} has the bbox {one.box!r:.80}; expected 4 numbers"
        ) from error
    return FoundBox(label, tuple(numbers.tolist()), about, one.crowd, track)


def _outline_box(shape: Any, picture: Picture) -> tuple[float, ...]:
    """The box around an outline, NaN without one; to the pixel, as COCO's own tools have it of run lengths."""
    inside = drawn(shape, picture.height, picture.width)
    height, width = inside.inside.shape
    return (inside.left, inside.top, width, height) if inside.inside.any() else (np.nan,) * 4


def _empty_classes(files: Sequence[Instances], pictures: Sequence[BoxedPicture]) -> list[str]:
    """A note on categories without an object, such as one that stands above the others."""
    used = {box.label for picture in pictures for box in picture.boxes}
    bare = [name for name in dict.fromkeys(name for file in files for name in file.classes) if name not in used]
    return [f"categories without an object, which are no classes: {', '.join(bare)}"] if bare else []
