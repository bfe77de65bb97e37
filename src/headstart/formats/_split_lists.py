"""Lists of names beside the data that say which picture is of which part, as Pascal VOC has them in ImageSets/Main."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from headstart.contracts.left_out import LeftOut, left_out
from headstart.formats._boxed_pictures import BoxedPicture
from headstart.formats._parts import part_of
from headstart.kernel.errors import DataError

BOTH = "trainval"
"""Names the pictures of both parts; those that are on neither of their lists are for training."""

PLACES = (".", "ImageSets/Main", "ImageSets", "splits")


class GivenParts(NamedTuple):
    """Parts by lists."""

    of: dict[str, str]
    """Path -> its part."""
    notes: tuple[LeftOut, ...]
    """On pictures that are on no list, and on names without a picture."""


def listed_parts(root: Path, paths: Sequence[str]) -> GivenParts | None:
    """The parts of pictures by the lists below a folder; None where there are no such lists.

    Raises:
        DataError: two lists name the same picture.
    """
    by_name: dict[str, str] = {}
    for path in paths:
        for name in names_of(path):
            by_name[name] = "" if name in by_name else path  # a name of two pictures means neither
    by_name = {name: path for name, path in by_name.items() if path}
    lists = next((listed for place in PLACES if (listed := _lists(root / place, by_name))), {})
    if not lists:
        return None
    found: dict[str, tuple[str, Path]] = {}
    missing: list[str] = []
    for file, names in lists.items():
        part = part_of(file.stem)
        missing += [f"{name} of {file.name}" for name in names if name not in by_name and part is not None]
        for path in (by_name[name] for name in names if name in by_name):
            if part is not None and found.setdefault(path, (part, file))[0] != part:
                raise DataError(f"{path} is named in {found[path][1].name} and in {file.name}: keep it in one of them")
    for names in (names for file, names in lists.items() if file.stem.lower() == BOTH):
        for path in (by_name[name] for name in names if name in by_name):
            found.setdefault(path, ("train", root))
    others = [path for path in paths if path not in found]
    notes = *left_out(others, "pictures on no list"), *left_out(missing, "pictures that are listed and not there")
    return GivenParts({path: part for path, (part, _) in found.items()}, notes)


def with_listed_parts(
    root: Path, pictures: Sequence[BoxedPicture], files: Sequence[str]
) -> tuple[list[BoxedPicture], tuple[LeftOut, ...]]:
    """The pictures with the parts of lists that lie below the root or beside the folder of an annotation; and notes.

    Where folders say the parts of all, lists are not read.
    """
    if all(picture.part for picture in pictures):
        return list(pictures), ()
    beside = [Path(root, file).parent.parent for file in files[:1] if "/" in file]
    paths = [picture.path for picture in pictures]
    listed = next(filter(None, (listed_parts(folder, paths) for folder in (root, *beside))), None)
    if listed is None:
        return list(pictures), ()
    kept = [replace(picture, part=listed.of[picture.path]) for picture in pictures if picture.path in listed.of]
    return kept, listed.notes


def part_of_path(path: str) -> str:
    """The part that a folder above a file names; '' for none."""
    return next(filter(None, map(part_of, PurePosixPath(path).parts[:-1])), "")


def names_of(path: str) -> Iterable[str]:
    """The names by which a list may mean a picture: its path, its name, and these without the ending."""
    place = PurePosixPath(path)
    return dict.fromkeys((path, str(place.with_suffix("")), place.name, place.stem))


def _lists(folder: Path, known: dict[str, str]) -> dict[Path, list[str]]:
    """The lists in a folder with their lines; a file by such a name that names none of the pictures is another."""
    if not folder.is_dir():
        return {}
    files = sorted(file for file in folder.glob("*.txt") if part_of(file.stem) or file.stem.lower() == BOTH)
    found = {}
    for file in files:
        lines = [line.strip().removeprefix("./") for line in file.read_text("utf-8", "replace").splitlines()]
        names = [line for line in lines if line]
        if any(name in known for name in names):
            found[file] = names
    return found
