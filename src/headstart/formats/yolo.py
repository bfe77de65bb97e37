"""YOLO: a text file for each picture with a line for each object: class, centre, width and height, in shares of the
picture's width and height.

`data.yaml` names the classes and parts; without it folders are the parts, and `classes.txt` has the names. A picture
with an empty file has no objects, nor has one without a file, which is told. Outlines become the boxes around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns, streamed
from headstart.contracts.left_out import LeftOut, left_out
from headstart.formats._box_layouts import BoxLayout
from headstart.formats._boxed_pictures import BoxedPicture, FoundBox, Written, boxed_examples, unlabelled_pictures
from headstart.formats._exif_turns import Exif
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.formats._split_lists import part_of_path
from headstart.formats._yolo_files import (
    NAMES,
    YAML,
    YoloBox,
    YoloData,
    has_labels,
    label_of,
    pictures_of,
    read_labels,
    read_yolo_data,
    yolo_yaml,
)
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings


class _Placed(NamedTuple):
    path: str
    part: str


class Yolo(Settings):
    """A YAML of YOLO, or a folder with one or with label files."""

    box: BoxLayout = "cxcywh"
    """The numbers of a box: 'cxcywh', centre, width and height as YOLO has them, 'xywh' or 'xyxy'."""
    exif: Exif | None = None
    """'stored' or 'upright': how boxes lie over pictures that EXIF turns."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return what names the classes, or that there are label files."""
        file = yolo_yaml(source)
        if file is not None:
            return f"YOLO's {file.name}"
        return "YOLO's label files beside pictures" if has_labels(source) else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per picture: path, boxes, part where parts are given, group where `columns.group` is.

        Raises:
            DataError: no pictures, a class without a name, a part that is not there, or as `boxed_examples`.
        """
        data = read_yolo_data(Path(source))
        placed, notes = _pictures(data)
        if not placed:
            raise DataError(f"{source} holds no pictures")
        if not labelled:
            return unlabelled_pictures(data.root, [path for path, _ in placed], columns, notes)
        placed, unlabelled = _of_labelled_parts(data, placed)
        pictures, told = _boxed(data, placed)
        if not any(picture.boxes for picture in pictures):
            why = f": {told[0]}" if told else ""
            raise DataError(f"{source}: labels are wanted, and no label file of a picture has an object{why}")
        written = Written(self.box, relative=True, exif=self.exif, settle="format.box")
        return boxed_examples(data.root, pictures, written, columns, [*notes, *unlabelled, *told])

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The pictures without boxes, some `rows` at a time."""
        return streamed(self, source, columns, rows)


def _pictures(data: YoloData) -> tuple[list[_Placed], list[str]]:
    """The pictures with their parts, and notes on all that is none."""
    leftovers = Leftovers(frozenset(NAMES))
    every = list(walk_files(data.root, leftovers))
    for ending in (".txt", ".cache", *YAML):
        leftovers.other.pop(ending, None)
    notes: list[str] = [*leftovers.notes()]
    if not data.parts:
        return [_Placed(path, part_of_path(path)) for path in every], [*notes, *_lone_labels(data.root, every)]
    found: dict[str, str] = {}
    twice = []
    for part, places in data.parts.items():
        for path in (path for place in places for path in pictures_of(data, place)):
            if found.setdefault(path, part) != part:
                twice.append(path)
    missing = [path for path in found if not (data.root / path).is_file()]
    notes += left_out(missing, "pictures that are listed and not there")
    notes += left_out([path for path in every if path not in found], f"pictures of no part of {data.file}")
    if twice:
        notes.append(
            f"pictures of several parts, kept in the first of train, val, test: {len(twice)}, such as {twice[0]}"
        )
    gone = {*missing}
    placed = [_Placed(path, part) for path, part in sorted(found.items()) if path not in gone]
    return placed, [*notes, *_lone_labels(data.root, [*every, *(one.path for one in placed)])]


def _of_labelled_parts(data: YoloData, placed: Sequence[_Placed]) -> tuple[list[_Placed], list[LeftOut]]:
    """The pictures but those of parts without any label file, where others have some; and a note on these."""
    labelled = {part for path, part in placed if label_of(data.root, path) is not None}
    others = [path for path, part in placed if labelled and part not in labelled]
    return [one for one in placed if not labelled or one.part in labelled], left_out(
        others, "pictures of parts without any label file"
    )


def _lone_labels(root: Path, pictures: Sequence[str]) -> list[LeftOut]:
    """A note on label files without a picture, in folders where other pictures have theirs."""
    labels = {label for path in pictures if (label := label_of(root, path))}
    folders = sorted({str(Path(label).parent) for label in labels})
    beside = (
        Path(folder, file.name).as_posix() for folder in folders for file in sorted((root / folder).glob("*.txt"))
    )
    others = [path for path in beside if path not in labels and Path(path).name not in NAMES]
    return left_out([path for path in others if has_digits(root / path)], "label files without a picture")


def has_digits(path: Path) -> bool:
    """Return whether a file begins as labels do, and not as a list of names or a word to the reader."""
    try:
        return bool(read_labels(path, points=True))
    except DataError:
        return False


def _boxed(data: YoloData, placed: Sequence[_Placed]) -> tuple[list[BoxedPicture], list[str]]:
    """The pictures with their boxes, and notes. Raises DataError for a class without a name."""
    found, bare, broken = [], [], []
    read: list[tuple[str, YoloBox]] = []
    for path, part in placed:
        label = label_of(data.root, path)
        if label is None:
            bare.append(path)
        try:
            boxes = [] if label is None else read_labels(data.root / label, points=data.points)
        except DataError as error:
            broken.append(f"{label} {error}")
            continue
        read += [(str(label), box) for box in boxes]
        named = [FoundBox(_name(data, box), box.numbers, f"line {box.line} of {label}") for box in boxes]
        found.append(BoxedPicture(path, str(label), None, part, None, named))
    _require_names(data, read)
    notes: list[str] = [*left_out(broken, "label files that cannot be read, with their pictures")]
    if bare:
        notes.append(
            f"pictures without a label file, taken for pictures without objects: {len(bare)}, such as {bare[0]}"
        )
    if data.names is None:
        notes.append("no data.yaml and no classes.txt names the classes: they are called by their numbers")
    return found, notes


def _name(data: YoloData, box: YoloBox) -> str:
    return str(box.number) if data.names is None else data.names.get(box.number, "")


def _require_names(data: YoloData, read: Sequence[tuple[str, YoloBox]]) -> None:
    """Refuse classes without a name. Raises DataError."""
    if data.names is None:
        return
    strange = [(file, box) for file, box in read if box.number not in data.names]
    if strange:
        file, box = strange[0]
        used = {box.number for _, box in read}
        shifted = ". The numbers seem to start at 1, and YOLO's start at 0" if min(used) > min(data.names) else ""
        raise DataError(
            f"{file}, line {box.line}: class {box.number} has no name; {data.file} names the classes "
            f"{min(data.names)} to {max(data.names)} ({len(strange)} such boxes){shifted}"
        )
