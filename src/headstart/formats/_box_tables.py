"""Tables of boxes: which columns they have, and what their cells say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from headstart.formats._box_layouts import BoxLayout
from headstart.formats._image_scan import is_image_path
from headstart.formats._literals import parse_cell
from headstart.formats._table_part import TablePart
from headstart.formats._table_sources import find_tables, in_nfc
from headstart.kernel.errors import DataError
from headstart.kernel.spelling import nfc

FILE = "filename file_name file image image_path image_file image_name img img_path path picture".split()
LABEL = "class label category class_name category_name label_name name species class_id category_id".split()
LISTS = "boxes bboxes bbox box objects annotations labels".split()
TRACK = "track_id track object_id".split()
EDGES: tuple[tuple[BoxLayout, tuple[str, ...]], ...] = (
    ("xyxy", ("xmin", "ymin", "xmax", "ymax")),
    ("xyxy", ("x_min", "y_min", "x_max", "y_max")),
    ("xyxy", ("x1", "y1", "x2", "y2")),
    ("xyxy", ("left", "top", "right", "bottom")),
    ("xywh", ("bbox_x", "bbox_y", "bbox_width", "bbox_height")),
    ("xywh", ("bb_left", "bb_top", "bb_width", "bb_height")),
    ("xywh", ("x", "y", "w", "h")),
    ("xywh", ("left", "top", "width", "height")),
    ("xywh", ("x", "y", "width", "height")),
)
"""The columns of a box, in lower case."""

_LOOK_AT = 20
"""Rows by which a table is recognised."""


class BoxColumns(NamedTuple):
    """The columns of a table of boxes, as they are called there."""

    file: str
    label: str | None
    """None where the boxes of a cell have their own."""
    numbers: tuple[str, ...]
    """Four columns; or one with a list of boxes."""
    layout: BoxLayout | None
    """None where the columns do not say."""
    size: tuple[str, str] | None
    """Columns of the picture's width and height."""
    track: str | None


class CellBox(NamedTuple):
    """A box as a cell or a row has it."""

    label: str
    numbers: tuple[float, float, float, float]
    track: int | None = None


def box_tables(source: Any, image: str | None = None) -> tuple[list[TablePart], BoxColumns] | None:
    """The tables of a source with the columns of boxes, if it has such; `image` is the column that a user named."""
    try:
        tables = find_tables(source)
        looks = tables and _may_have_boxes(tables[0].source.names(), image)  # some tables are read whole for their head
        head = in_nfc(tables[0].source.head(_LOOK_AT)) if tables and looks else None
    except (DataError, OSError):
        return None
    columns = None if head is None else _columns(head.column_names, head.to_pylist(), image)
    return None if columns is None or tables is None else (tables, columns)


def _may_have_boxes(names: Sequence[str], image: str | None) -> bool:
    """Return whether columns are called like a picture's file and like boxes."""
    called = {nfc(name).lower() for name in names}
    boxes = called & {*LISTS} or any({*words} <= called for _, words in EDGES)
    return bool(boxes and (image is not None or called & {*FILE}))


def _columns(names: Sequence[str], rows: Sequence[Mapping[str, Any]], image: str | None) -> BoxColumns | None:
    called = {name.lower(): name for name in names}
    files = [image] if image is not None and image in names else [called[word] for word in FILE if word in called]
    file = next((name for name in files if _are_pictures([row[name] for row in rows])), None)
    if file is None:
        return None
    label = next((called[word] for word in LABEL if word in called and called[word] != file), None)
    track = next((called[word] for word in TRACK if word in called), None)
    layout, edges = next(((layout, words) for layout, words in EDGES if {*words} <= {*called}), (None, ()))
    size = ("width", "height") if {"width", "height"} <= {*called} - {*edges} else None
    sizes = None if size is None else (called[size[0]], called[size[1]])
    if edges and label is not None:
        return BoxColumns(file, label, tuple(called[word] for word in edges), layout, sizes, track)
    lists = (called[word] for word in LISTS if word in called and called[word] != file)
    column = next((name for name in lists if _are_boxes([row[name] for row in rows], label)), None)
    return None if column is None else BoxColumns(file, None, (column,), None, sizes, None)


def _are_pictures(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        (isinstance(value, str) and is_image_path(value)) or (isinstance(value, dict) and {*value} >= {"bytes", "path"})
        for value in known
    )


def _are_boxes(values: Sequence[Any], label: str | None) -> bool:
    """Return whether some cells hold boxes with classes, and none anything else."""
    try:
        found = [box for value in values for box in boxes_in(value)]
    except (ValueError, TypeError, KeyError):
        return False
    return label is None and bool(found)


def boxes_in(cell: Any) -> Iterator[CellBox]:
    """The boxes of a cell: a list, or a text that holds one. Raises ValueError for anything else."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)) or cell == "":
        return
    found = parse_cell(cell) if isinstance(cell, str) else cell
    if isinstance(found, dict):  # a list for each field, as data sets of the hub have objects
        fields = {key: value for key, value in found.items() if isinstance(value, list)}
        if len({len(value) for value in fields.values()}) > 1 or not fields:
            raise ValueError(f"{str(cell)[:60]} is no list of boxes")
        found = [dict(zip(fields, values)) for values in zip(*fields.values())]
    if not isinstance(found, list):
        raise ValueError(f"{str(cell)[:60]} is no list of boxes")
    yield from map(_box, found)


def _box(one: Any) -> CellBox:
    if isinstance(one, dict):
        lower = {str(key).lower(): value for key, value in one.items()}
        label = next((lower[word] for word in LABEL if word in lower), None)
        place = next((lower[word] for word in ("bbox", "box") if word in lower), None)
        words = next((words for _, words in EDGES if {*words} <= {*lower}), ())
        numbers = place if place is not None else [lower[word] for word in words]
    elif isinstance(one, list) and len(one) == 5:
        texts = [at for at in (0, 4) if isinstance(one[at], str)]
        at = texts[0] if texts else 4
        label, numbers = one[at], [*one[:at], *one[at + 1 :]]
    else:
        raise ValueError(f"{str(one)[:60]} is no box with a class")
    if label is None or not isinstance(numbers, list) or len(numbers) != 4:
        raise ValueError(f"{str(one)[:60]} is no box with a class")
    return CellBox(str(label), four(numbers))


def four(values: Sequence[Any]) -> tuple[float, float, float, float]:
    """Numbers, NaN for what is none."""
    first, second, third, fourth = map(_number, values)
    return first, second, third, fourth


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
