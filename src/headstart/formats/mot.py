"""MOT Challenge: sequences of pictures (`img1/000001.jpg`) with the boxes of all their frames in `gt/gt.txt`.

A sequence is a group, so that no split cuts through it. Boxes of confidence 0 are not judged (Milan et al. 2016).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns, streamed
from headstart.contracts.left_out import left_out
from headstart.formats._boxed_pictures import BoxedPicture, Written, boxed_examples, unlabelled_pictures
from headstart.formats._frame_labels import read_frame_labels, sequences
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.formats._split_lists import part_of_path
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings


class Mot(Settings):
    """A sequence of MOT Challenge, or a folder of some."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many sequences."""
        found = sequences(source)
        return f"{len(found)} sequence{'s' if len(found) != 1 else ''} of MOT Challenge" if found else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per picture: path, boxes with their tracks, the sequence as group, and its folder's part.

        Raises:
            DataError: no pictures or no boxes, or a line of a table that is none.
        """
        root = Path(source)
        leftovers = Leftovers()
        paths = list(walk_files(root, leftovers))
        for ending in (".txt", ".ini"):
            leftovers.other.pop(ending, None)
        notes: list[str] = [*leftovers.notes()]
        pictures: list[BoxedPicture] = []
        used: set[str] = set()
        for folder in sequences(root):
            frames = _frames(folder, paths)
            used |= {*frames.values()}
            labels = read_frame_labels(root / folder / "gt" / "gt.txt", f"{folder}/gt/gt.txt".removeprefix("./"), 0)
            part, name = part_of_path(f"{folder}/gt"), root.name if folder == "." else folder
            pictures += [
                BoxedPicture(path, labels.file, part=part, group=name, boxes=labels.boxes.get(number, []))
                for number, path in sorted(frames.items())
            ]
            gone = [number for number in labels.boxes if number not in frames]
            notes += left_out(
                [f"frame {number} of {folder}" for number in gone], "frames with boxes and without a picture"
            )
        notes += left_out([path for path in paths if path not in used], "pictures of no sequence")
        if not pictures:
            raise DataError(f"{root} holds no pictures of a sequence, such as img1/000001.jpg beside gt/gt.txt")
        if not labelled:
            return unlabelled_pictures(root, [picture.path for picture in pictures], columns, notes)
        if not any(picture.boxes for picture in pictures):
            raise DataError(f"{root}: labels are wanted, and no gt.txt has a box")
        return boxed_examples(root, pictures, Written("xywh"), columns, notes)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The pictures without boxes, some `rows` at a time."""
        return streamed(self, source, columns, rows)


def _frames(folder: str, paths: Sequence[str]) -> dict[int, str]:
    """The pictures of a sequence by the number that is their name."""
    inside = PurePosixPath(folder) / "img1"
    places = [PurePosixPath(path) for path in paths if PurePosixPath(path).parent == inside]
    return {int(place.stem): str(place) for place in places if place.stem.isdigit()}
