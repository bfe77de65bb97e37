"""The pictures that COCO's files name, where they lie."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from headstart.contracts.left_out import LeftOut, left_out
from headstart.formats._coco_files import Instances, Picture
from headstart.formats._image_scan import is_image_path
from headstart.formats._parts import part_of
from headstart.kernel.errors import DataError


class Placed(NamedTuple):
    """A picture with its place, part and file."""

    path: str
    """Of the picture, from the root."""
    picture: Picture
    part: str
    file: Path
    """That names it."""


def placed(file: Instances, root: Path, gone: list[str] | None = None) -> list[Placed]:
    """The pictures of a file where they lie: beside it, in a folder beside or above it, or as they are named.

    Those that are missing are added to `gone` where some are there. Raises DataError without it.
    """
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
            rows.append(Placed(place, picture, part, file.path))
    if missing and gone is not None and rows:
        gone += [f"{name} of {file.path.name}" for name in missing]
    elif missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataError(f"{file.path}: pictures are missing: {', '.join(missing[:3])}{more}; they must lie in {root}")
    return rows


def require_once(rows: Sequence[Placed]) -> None:
    """Refuse a picture with its objects in two places, save in two parts, which is told of. Raises DataError."""
    first: dict[tuple[str, str], Placed] = {}
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


def unnamed(root: Path, rows: Sequence[Placed]) -> list[LeftOut]:
    """A note on pictures that lie beside those of the files and that no file names."""
    used = {row.path for row in rows}
    folders = sorted({os.path.dirname(path) for path in used})
    beside = (os.path.join(folder, name) for folder in folders for name in sorted(os.listdir(root / folder)))
    others = [path for path in beside if path not in used and is_image_path(path)]
    return [*left_out(others, "pictures that no annotations name")]
