"""Annotations of pictures that EXIF turns: drawn over the pictures as they are stored, or as they are seen upright.

The sizes tell where EXIF exchanges rows and columns. What they tell of some holds for the whole data set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from headstart.kernel.errors import DataError
from headstart.media.images import Stored, stored_size

Exif = Literal["stored", "upright"]
"""The way annotations lie over pictures: as these are stored, or as they are seen upright."""


class Turns(NamedTuple):
    """The answer for a data set."""

    as_stored: bool
    notes: tuple[str, ...]


def refuse_sizes(faults: Sequence[str], pictures: int, so: str = "") -> None:
    """Raise DataError where annotations give other sizes than their pictures have, each named in `faults`.

    Args:
        pictures: how many there are. so: what follows from it, after a comma.
    """
    if faults:
        more = f"\n  and {len(faults) - 3} more" if len(faults) > 3 else ""
        listed = "\n".join(f"  {fault}" for fault in faults[:3])
        said = f"{len(faults)} of {pictures} pictures have other sizes than their annotations say"
        raise DataError(f"{said}{so}:\n{listed}{more}")


def turns_of(
    root: Path, annotated: Iterable[tuple[str, Path | tuple[int, int] | None]], given: Exif | None, what: str
) -> Turns:
    """Decide whether annotations have to be turned with their pictures.

    Args:
        root: folder of the pictures.
        annotated: path of a picture from there, and its mask, or width and height that its annotations have;
            None where they do not say.
        given: what the user said.
        what: 'masks', 'outlines' or 'boxes'.

    Raises:
        DataError: pictures are turned, and neither sizes nor the user say how their annotations lie; or sizes disagree.
    """
    turned = [(path, size, about) for path, about in annotated if (size := _turned(root / path)) is not None]
    told: dict[Exif, list[str]] = {}
    for path, size, about in turned:
        how = _told(size, about)
        if how is not None:
            told.setdefault(how, []).append(path)
    if not turned:
        return Turns(False, ())
    some = f"{len(turned)} pictures are turned by EXIF, such as {turned[0][0]}"
    settle = f"--set format.exif=stored turns the {what} with the pictures, --set format.exif=upright leaves them"
    if given is None and len(told) > 1:
        stored, upright = told["stored"], told["upright"]
        raise DataError(
            f"{some}; by their sizes the {what} of {len(stored)} lie over them as stored, such as those of {stored[0]}"
            f", and of {len(upright)} upright, such as those of {upright[0]}. Make them alike, or say for all: {settle}"
        )
    if given is None and not told:
        raise DataError(
            f"{some}, and their sizes do not tell whether their {what} lie over the pictures as stored or as seen "
            f"upright. Say which: {settle}"
        )
    chosen = next(iter(told)) if given is None else given
    by = "as was said" if given else f"as the sizes of {len(told[chosen])} tell"
    does = "are turned with them" if chosen == "stored" else "lie over them upright"
    return Turns(chosen == "stored", (f"{some}; their {what} {does}, {by}",))


def _turned(path: Path) -> Stored | None:
    """The size of a picture that EXIF turns; None of all others, and of those that cannot be read."""
    try:
        size = stored_size(path)
    except DataError:  # named where it is read
        return None
    return None if size.orientation == 1 else size


def _told(size: Stored, about: Path | tuple[int, int] | None) -> Exif | None:
    if about is None:
        return None
    stored = size.width, size.height
    try:
        mask = stored_size(about) if isinstance(about, Path) else Stored(*about, orientation=1)
    except DataError:
        return None
    if mask.orientation != 1:  # it is turned by itself
        return "upright"
    found = mask.upright
    if stored == size.upright:
        return None
    return "stored" if found == stored else "upright" if found == size.upright else None
