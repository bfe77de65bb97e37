"""Pascal VOC: an XML file for each picture. Numbers are those of the first and last pixel, from 1 on, unless zeros or
fractions show that they are edges.

The pictures lie beside the files or in another folder (`JPEGImages`) under the same stem. Folders or the lists of
`ImageSets/Main` are the parts; difficult objects are neither learnt nor counted as missed, as in VOC (Everingham 2010).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns, streamed
from headstart.contracts.left_out import left_out
from headstart.formats._boxed_pictures import BoxedPicture, FoundBox, Written, boxed_examples, unlabelled_pictures
from headstart.formats._exif_turns import Exif
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.formats._split_lists import part_of_path, with_listed_parts
from headstart.formats._voc_files import VocPicture, read_voc, voc_files
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings

_SERVING = (".xml", ".txt", ".csv")
"""Endings of annotations and lists."""


class _Read(NamedTuple):
    files: dict[str, str]
    """Path of a picture -> path of its XML file."""
    found: dict[str, VocPicture]
    """Path of a picture -> what that says."""
    broken: list[str]
    lone: list[str]
    """Files without a picture."""


class Voc(Settings):
    """A folder with XML files of annotations and the pictures."""

    pixels: Literal["inclusive", "edges"] | None = None
    """'inclusive': numbers of the first and last pixel, from 1 on, as VOC has them; 'edges': edges from 0 on, the
    default where a number is 0 or has a fraction."""
    exif: Exif | None = None
    """'stored' or 'upright': how boxes lie over pictures that EXIF turns; by default as sizes tell."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many files."""
        files = voc_files(source)
        return f"{len(files)} XML files of Pascal VOC" if files else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per annotated picture: path, boxes, part where parts are given, group where `columns.group` is.

        A file that cannot be read is left out with its picture. Without labels there is a row for every picture.

        Raises:
            DataError: no annotations or no pictures of them; two files of one picture; or as `boxed_examples`.
        """
        root, leftovers = Path(source), Leftovers()
        paths = list(walk_files(root, leftovers))
        files = voc_files(root)
        for ending in _SERVING:
            leftovers.other.pop(ending, None)
        notes = [*leftovers.notes()]
        if not labelled:
            if not paths:
                raise DataError(f"{root} holds no pictures")
            return unlabelled_pictures(root, paths, columns, notes)
        read = _read(root, files, paths)
        notes += left_out(read.broken, "XML files that cannot be read, with their pictures")
        notes += left_out(read.lone, "XML files without a picture")
        notes += left_out([path for path in paths if path not in read.files], "pictures without an XML file")
        inclusive, told = self._inclusive([*read.found.values()])
        pictures = [
            _boxed(path, read.files[path], read.found[path], inclusive=inclusive) for path in sorted(read.found)
        ]
        if not any(picture.boxes for picture in pictures):
            why = f": {read.broken[0]}" if read.broken else ""
            raise DataError(f"{root}: labels are wanted, and no XML file of a picture has an object{why}")
        pictures, more = with_listed_parts(root, pictures, files)
        return boxed_examples(root, pictures, Written("xyxy", exif=self.exif), columns, [*notes, *more, told])

    def _inclusive(self, found: Sequence[VocPicture]) -> tuple[bool, str]:
        """Return whether numbers count pixels from 1 on, and why."""
        if self.pixels is not None:
            return self.pixels == "inclusive", f"boxes are taken as {self.pixels}, as was said"
        numbers = [one.numbers for picture in found for one in picture.objects]
        edges = any(box[0] == 0 or box[1] == 0 or any(value % 1 for value in box if value == value) for box in numbers)
        if edges:
            return False, "boxes are taken as edges from 0 on, as some numbers are 0 or have a fraction"
        return True, (
            "boxes are taken as first and last pixels from 1 on, as Pascal VOC has them; --set format.pixels=edges "
            "takes them as edges from 0 on"
        )

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The pictures without boxes, some `rows` at a time."""
        return streamed(self, source, columns, rows)


def _read(root: Path, files: Sequence[str], paths: Sequence[str]) -> _Read:
    """The files with the pictures that they are of. Raises DataError for two of the same one."""
    by_stem: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_stem[PurePosixPath(path).stem].append(path)
    read = _Read({}, {}, [], [])
    for file in files:
        said, fault = VocPicture("", None, ()), ""
        try:
            said = read_voc(root / file)
        except DataError as error:
            fault = f"{file} {error}"
        picture = _picture_of(file, said.name, by_stem)
        if picture is None and not fault:
            read.lone.append(file)
        elif picture is not None and (other := read.files.setdefault(picture, file)) != file:
            raise DataError(f"{other} and {file} are both of {picture}: keep one of them, with all its objects")
        elif picture is not None and not fault:
            read.found[picture] = said
        if fault:
            read.broken.append(fault)
    return read


def _picture_of(file: str, name: str, by_stem: Mapping[str, Sequence[str]]) -> str | None:
    """The picture by the stem of its file, else by the name that stands in it; the nearest of several."""
    found = by_stem.get(PurePosixPath(file).stem) or by_stem.get(PurePosixPath(name).stem) or ()
    folders = PurePosixPath(file).parts[:-1]
    return max(found, key=lambda path: len({*PurePosixPath(path).parts[:-1]} & {*folders}), default=None)


def _boxed(path: str, file: str, said: VocPicture, *, inclusive: bool) -> BoxedPicture:
    boxes = []
    for one in said.objects:
        left, top, right, bottom = one.numbers
        numbers = (left - 1, top - 1, right, bottom) if inclusive else one.numbers
        boxes.append(FoundBox(one.label, numbers, f"object {one.place} of {file}", one.difficult))
    return BoxedPicture(path, file, said.size, part_of_path(path) or part_of_path(file), None, boxes)
