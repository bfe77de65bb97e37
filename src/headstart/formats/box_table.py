"""Tables of boxes: a row for each box (`filename,xmin,ymin,xmax,ymax,class`), or for each picture with a list of boxes.

The picture's file stands in a column; rows without numbers are pictures without objects. Numbers that are all at most 1
are shares of the picture's size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns, streamed
from headstart.contracts.left_out import left_out
from headstart.formats._box_layouts import BoxLayout
from headstart.formats._box_tables import BoxColumns, CellBox, box_tables, boxes_in, four
from headstart.formats._boxed_pictures import BoxedPicture, FoundBox, Written, boxed_examples, unlabelled_pictures
from headstart.formats._exif_turns import Exif
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.formats._parts import PART_COLUMN, part_of
from headstart.formats._rows import ORIGIN
from headstart.formats._table_sources import in_words, read_tables
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings


class _Cell(NamedTuple):
    file: str
    part: str
    group: str | None
    size: tuple[int, int] | None
    origin: str
    boxes: tuple[CellBox, ...]
    picture: bytes | None
    """The picture itself, where the table holds it."""


class BoxTable(Settings):
    """A table with a row for each box, or with a column of lists of boxes."""

    box: BoxLayout | None = None
    """The numbers of a box: 'xyxy', 'xywh' or 'cxcywh'; by default as columns are called, or as boxes fit."""
    exif: Exif | None = None
    """'stored' or 'upright': how boxes lie over pictures that EXIF turns; by default as sizes tell."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Which tables with which columns."""
        found = box_tables(source)
        return None if found is None else f"boxes in {in_words(found[0])}"

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per picture: path, boxes, part where the table has one, group of the column `columns.group`.

        Raises:
            DataError: no such columns, a cell that is no list of boxes, no pictures, or as `boxed_examples`.
        """
        found = box_tables(source, columns.image)
        if found is None:
            raise DataError(
                f"{source} has no columns of boxes: a file, a class, and xmin, ymin, xmax, ymax or the like"
            )
        tables, named = found
        root = Path(tables[0].source.root)
        folders = {part.source.root for part in tables}
        root = root.parent if len(folders) > 1 else root
        text = frozenset(filter(None, [named.file, named.label, columns.group]))
        cells = _cells(read_tables(tables, text).to_pylist(), named, columns, str(source))
        pictures, missing = _placed(root, cells)
        notes: list[str] = [*left_out(missing, "pictures that the table names and that are not there")]
        notes += [note for part in tables for note in part.source.notes]
        if not pictures:
            raise DataError(f"{source}: none of its pictures is there, such as {missing[0]}; they must lie in {root}")
        by_columns = columns.model_copy(update={"group": None})
        if not labelled:
            return unlabelled_pictures(root, pictures, by_columns, notes)
        if not any(picture.boxes for picture in pictures):
            raise DataError(f"{source}: labels are wanted, and no row has a box")
        numbers = [number for picture in pictures for box in picture.boxes for number in box.numbers]
        relative = bool(np.nanmax(np.abs(numbers)) <= 1)
        written = Written(self.box or named.layout, relative, self.exif, "format.box")
        return boxed_examples(root, pictures, written, by_columns, notes)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The pictures without boxes, some `rows` at a time."""
        return streamed(self, source, columns, rows)


def _cells(rows: Sequence[Mapping[str, Any]], named: BoxColumns, columns: Columns, words: str) -> list[_Cell]:
    """The rows of a table. Raises DataError, which names the row, for a cell that is no list of boxes."""
    part = columns.part or next((name for name in ("split", "part", "subset") if rows and name in rows[0]), None)
    found = []
    for row in rows:
        try:
            boxes = _boxes(row, named)
        except (ValueError, TypeError) as error:
            raise DataError(f"{words}, {row[ORIGIN]}: {error}") from error
        given = row.get(PART_COLUMN) or part_of(row.get(part, "") if part else "") or ""
        group = None if columns.group is None else row.get(columns.group)
        size = None if named.size is None else _size(*(row[name] for name in named.size))
        given_file, origin = row[named.file], str(row[ORIGIN])
        held = given_file if isinstance(given_file, dict) else {"path": given_file}
        picture: bytes | None = held.get("bytes")
        file = held.get("path") or (origin if picture else None)
        if file:
            of = None if group is None else str(group)
            found.append(_Cell(origin if picture else str(file), given, of, size, origin, boxes, picture))
    return found


def _boxes(row: Mapping[str, Any], named: BoxColumns) -> tuple[CellBox, ...]:
    if named.label is None:
        return tuple(boxes_in(row[named.numbers[0]]))
    values = [row[name] for name in named.numbers]
    if all(value is None or value == "" or value != value for value in values):
        return ()
    label = row[named.label]
    if label is None or not str(label).strip():
        raise ValueError("a box has no class")
    track = None if named.track is None else row[named.track]
    return (CellBox(str(label).strip(), four(values), track if isinstance(track, int) else None),)


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    try:
        return (int(width), int(height)) if int(width) > 0 and int(height) > 0 else None
    except (TypeError, ValueError):
        return None


def _placed(root: Path, cells: Sequence[_Cell]) -> tuple[list[BoxedPicture], list[str]]:
    """The pictures with their boxes, in the order of their paths, and the files that are not there."""
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for path in walk_files(root, Leftovers()) if str(root) != "." else ():
        by_name[PurePosixPath(path).name].append(path)
    found: dict[tuple[str, str], BoxedPicture] = {}
    missing: dict[str, None] = {}
    for cell in cells:
        near = by_name.get(PurePosixPath(cell.file).name, [])
        own = [path for path in near if cell.part in map(part_of, PurePosixPath(path).parts[:-1])] or near
        there = cell.picture is not None or (root / cell.file).is_file()
        place = cell.file if there else own[0] if len(own) == 1 else None
        if place is None:
            missing[cell.file] = None
            continue
        new = BoxedPicture(place, cell.origin, cell.size, cell.part, cell.group, picture=cell.picture)
        picture = found.setdefault((place, cell.part), new)
        about = f"{cell.origin} ({place})"
        picture.boxes += [FoundBox(box.label, box.numbers, about, track=box.track) for box in cell.boxes]
    return [picture for _, picture in sorted(found.items())], list(missing)
