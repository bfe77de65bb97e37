"""Pictures with boxes, as the formats that hold such read them, made into examples.

Boxes become edges in pixels of the pictures as they are shown, clipped to these. What is left out or changed is told
with its number and one of the places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from headstart.contracts.box_labels import BOXES, TARGET
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.formats._box_layouts import BoxLayout, edges_of, fitting, other_layout, turned
from headstart.formats._exif_turns import Exif, refuse_sizes, turns_of
from headstart.formats._image_groups import groups_of
from headstart.kernel.errors import DataError
from headstart.media.images import Stored, stored_size

CLIPPED = 0.5
"""Pixels outside its picture from which on a box is said to be clipped."""

CROWDED = 100
"""Objects in a picture, of which average precision counts as many detections at most."""

FRACTIONS = 64
"""Parts of a pixel at which boxes are drawn."""

ROUNDED = 1.5e-6
"""Share of a picture's size by which an edge may be off when centre and width were rounded to six digits: nearer to a
fraction of a pixel it is that one."""

BACKGROUND = "background"

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""The column of pictures that are no files, as data sets of the hub have it."""


class FoundBox(NamedTuple):
    """A box as it is written."""

    label: str
    numbers: tuple[float, float, float, float]
    """In the layout of its data set."""
    about: str
    """How notes and errors name it, with its file."""
    crowd: bool = False
    track: int | None = None


@dataclass
class BoxedPicture:
    """A picture and the boxes in it."""

    path: str
    """From the root."""
    file: str
    """That has its annotations, as errors name it."""
    size: tuple[int, int] | None = None
    """Width and height as its annotations say; None where they do not."""
    part: str = ""
    group: str | None = None
    boxes: list[FoundBox] = field(default_factory=list)
    picture: bytes | None = None
    """The picture itself, where it is no file."""


class Written(NamedTuple):
    """The way in which a data set's boxes are written."""

    layout: BoxLayout | None
    """None where only their places tell."""
    relative: bool = False
    """Whether the numbers are shares of the picture's width and height."""
    exif: Exif | None = None
    """As the user said."""
    settle: str = ""
    """The setting by which a user names the layout."""


class _Seen(NamedTuple):
    """A picture with what its file says of its size."""

    picture: BoxedPicture
    stored: Stored | None
    """None where the file cannot be read, which is told later, with all others of these."""
    over: tuple[int, int] | None
    """Width and height of the picture that its boxes were drawn over."""
    numbers: np.ndarray
    """(boxes, 4) in pixels; rows of NaN where they are no numbers."""


def boxed_examples(
    root: Path, pictures: Sequence[BoxedPicture], written: Written, columns: Columns, notes: Sequence[str]
) -> Examples:
    """One row per picture: path, boxes, part and group where they are given.

    Raises:
        DataError: boxes in another layout than was taken, sizes that are not those of the pictures, or EXIF that turns
            pictures where nothing says how their boxes lie.
    """
    rows, told = box_rows(root, pictures, written)
    inputs, table = _pictures(pictures)
    table[TARGET] = pa.array(rows, BOXES)
    roles: dict[str, Any] = {"targets": {TARGET: TARGET}}
    notes = [*notes, *told]
    if any(picture.part for picture in pictures):
        table["part"], roles["part"] = pa.array([picture.part for picture in pictures], pa.string()), "part"
    if columns.group is not None:
        table["group"], more = groups_of(columns.group, [picture.path for picture in pictures])
        roles["group"], notes = "group", [*notes, *more]
    elif any(picture.group is not None for picture in pictures):
        table["group"], roles["group"] = pa.array([picture.group for picture in pictures], pa.string()), "group"
    schema = Schema(modality="image", inputs=(inputs,), origin="path", root=str(root), **roles)
    return Examples(pa.table(table), schema, tuple(notes))


def box_rows(
    root: Path, pictures: Sequence[BoxedPicture], written: Written
) -> tuple[list[list[dict[str, Any]]], list[str]]:
    """The boxes of each picture as its row holds them, and notes. Raises DataError as `boxed_examples`."""
    in_files = [(picture.path, picture.size) for picture in pictures if picture.picture is None]
    turns = turns_of(root, in_files, written.exif, "boxes")
    seen = [_look(root, picture, relative=written.relative, as_stored=turns.as_stored) for picture in pictures]
    _require_sizes(seen)
    layout = _layout(seen, written)
    told: dict[str, list[str]] = {}
    rows = [_row(one, layout, told, written.relative, as_stored=turns.as_stored) for one in seen]
    said = [f"{what}: {len(places)}, such as {places[0]}" for what, places in sorted(told.items())]
    return rows, [*turns.notes, *said, *_about(pictures, rows)]


def unlabelled_pictures(
    root: Path, pictures: Sequence[str] | Sequence[BoxedPicture], columns: Columns, notes: Sequence[str]
) -> Examples:
    """One row per picture, or path of one, without boxes."""
    every = [BoxedPicture(one, "") if isinstance(one, str) else one for one in pictures]
    inputs, table = _pictures(every)
    schema = Schema(modality="image", inputs=(inputs,), origin="path", root=str(root))
    if columns.group is not None:
        table["group"], more = groups_of(columns.group, [picture.path for picture in every])
        schema, notes = schema.model_copy(update={"group": "group"}), [*notes, *more]
    return Examples(pa.table(table), schema, tuple(notes))


def _pictures(pictures: Sequence[BoxedPicture]) -> tuple[str, dict[str, pa.Array]]:
    """The column of the inputs, and the columns: the paths, and the pictures themselves where they are no files."""
    table = {"path": pa.array([picture.path for picture in pictures], pa.string())}
    if all(picture.picture is None for picture in pictures):
        return "path", table
    held = [{"bytes": one.picture, "path": None if one.picture else one.path} for one in pictures]
    return "image", {**table, "image": pa.array(held, IMAGE)}


def _look(root: Path, picture: BoxedPicture, *, relative: bool, as_stored: bool) -> _Seen:
    try:
        stored = stored_size(root / picture.path if picture.picture is None else picture.picture)
    except DataError:
        stored = None
    over = None if stored is None else stored[:2] if as_stored else stored.upright
    numbers = np.array([box.numbers for box in picture.boxes], np.float64).reshape(-1, 4)
    numbers[~np.isfinite(numbers).all(axis=1)] = np.nan
    return _Seen(picture, stored, over, numbers * np.tile(over, 2) if relative and over else numbers)


def _require_sizes(seen: Sequence[_Seen]) -> None:
    """Refuse annotations of pictures of another size: their boxes lie elsewhere. Raises DataError."""
    faults = []
    for picture, _, over, _ in seen:
        if picture.size is not None and over is not None and picture.size != over:
            given, found = (f"{width}x{height}" for width, height in (picture.size, over))
            faults.append(f"{picture.file} gives {picture.path} {given} pixels; it has {found}")
    refuse_sizes(faults, len(seen), ", so that their boxes lie elsewhere")


def _layout(seen: Sequence[_Seen], written: Written) -> BoxLayout:
    """The layout of boxes. Raises DataError where they fit only in another one, or as shares of pictures' sizes."""
    known = [one for one in seen if one.over is not None and len(one.numbers)]
    if not known:
        return written.layout or "xyxy"
    numbers = np.concatenate([one.numbers for one in known])
    over = np.concatenate([np.tile(one.over or (), (len(one.numbers), 1)) for one in known])
    sound = np.isfinite(numbers).all(axis=1)
    numbers, over, first = numbers[sound], over[sound], known[0].picture.boxes[0]
    such = f"such as {list(first.numbers)} of {first.about}"
    if not written.relative and len(numbers) and np.abs(numbers).max() <= 1 < over.min():
        raise DataError(f"no number of any box is greater than 1, {such}: pixels are expected, not shares of a size")
    if written.layout is None:
        found = fitting(numbers, over)
        if len(found) != 1:
            fit = "both two corners (xyxy) and a corner with width and height (xywh)" if found else "no layout"
            raise DataError(f"the boxes fit {fit}, {such}. Say which: --set {written.settle}=xyxy, xywh or cxcywh")
        return found[0]
    other = other_layout(numbers, over, written.layout)
    if other is not None:
        raise DataError(
            f"the boxes fit their pictures as {other} and not as {written.layout}, {such}. Say which they are: "
            f"--set {written.settle}={other}"
        )
    return written.layout


def _row(
    seen: _Seen, layout: BoxLayout, told: dict[str, list[str]], relative: bool, *, as_stored: bool
) -> list[dict[str, Any]]:
    """The boxes of a picture as its row holds them."""
    edges, stored = edges_of(seen.numbers, layout), seen.stored
    if relative and seen.over is not None:
        whole = np.round(edges * FRACTIONS) / FRACTIONS
        edges = np.where(np.abs(edges - whole) <= ROUNDED * np.tile(seen.over, 2), whole, edges)
    if stored is not None and as_stored:
        edges = turned(edges, stored.orientation, stored.width, stored.height)
    kept = np.clip(edges, 0, np.inf if stored is None else np.tile(stored.upright, 2))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for box, whole, inside in zip(seen.picture.boxes, edges, kept):
        fault = _fault(box, whole, inside)
        if fault:
            told.setdefault(fault, []).append(box.about)
            continue
        place = dict(zip(("left", "top", "right", "bottom"), inside.tolist()))
        row = {"label": box.label, **place, "crowd": box.crowd, "track": box.track}
        if rows.setdefault((box.label, *place.values()), row) is not row:
            told.setdefault("boxes that are there twice, of which one is kept", []).append(box.about)
        elif box.crowd:
            told.setdefault("crowds or difficult objects, neither learnt nor counted as missed", []).append(box.about)
        if np.abs(whole - inside).max() > CLIPPED:
            told.setdefault("boxes that reach outside their pictures, clipped", []).append(box.about)
    return list(rows.values())


def _fault(box: FoundBox, edges: np.ndarray, clipped: np.ndarray) -> str:
    """Why a box is left out; '' where it is not."""
    if np.isnan(edges).any():
        return "boxes that are not four finite numbers, left out"
    if (edges[2:] <= edges[:2]).any():
        return "boxes without area, left out"
    if (clipped[2:] <= clipped[:2]).any():
        return "boxes outside their pictures, left out"
    if box.label.lower() == BACKGROUND:
        return f"boxes of the class {box.label}, which is what lies outside of all boxes, left out"
    return ""


def _about(pictures: Sequence[BoxedPicture], rows: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    """Notes on pictures without objects, and on those with more than are counted."""
    bare = [picture.path for picture, row in zip(pictures, rows) if not row]
    counts = Counter({picture.path: len(row) for picture, row in zip(pictures, rows) if len(row) > CROWDED})
    notes = [f"pictures without objects: {len(bare)}, such as {bare[0]}"] if bare else []
    if counts:
        most, number = counts.most_common(1)[0]
        notes.append(
            f"pictures with more than {CROWDED} objects: {len(counts)}, such as {most} with {number}; average "
            f"precision counts {CROWDED} detections of a picture"
        )
    return notes
