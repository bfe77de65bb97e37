"""Boxes of frames in a text table: `frame,id,x,y,w,h` and the like with a header, or MOT's without one.

MOT's columns are frame (from 1 on), id, left, top, width, height, confidence (0 for what is not judged), class and
visibility (Milan et al. 2016). Tools with a header, such as CVAT, number frames from 0 on.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from headstart.formats._box_layouts import BoxLayout
from headstart.formats._box_tables import EDGES, LABEL, four
from headstart.formats._boxed_pictures import FoundBox
from headstart.formats._given_paths import is_folder
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.kernel.errors import DataError
from headstart.kernel.regular import read_regular

VIDEOS = frozenset(".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv .flv .mts .ogv .3gp".split())
"""File names that are taken for videos, lower case."""

FRAME = "frame frame_id frame_number frame_index image_id".split()
TRACK = "track_id id track object_id".split()
OBJECT = "object"
"""Class of boxes of a table that names none."""

_MOT = ("frame", "id", "x", "y", "w", "h", "confidence", "class", "visibility")
_KINDS = {"1": "pedestrian"}
"""Of MOT's classes by number; others are called by their number."""


class FrameLabels(NamedTuple):
    """The boxes of a video's frames."""

    file: str
    boxes: Mapping[int, list[FoundBox]]
    """By the number of the frame, from 0 on."""
    layout: BoxLayout
    first: int
    """Number of the first frame as the table has it."""

    def beyond(self, frames: int) -> int:
        """The number of frames with boxes behind the end of a video of so many."""
        return sum(number >= frames for number in self.boxes)


def read_frame_labels(path: Path, name: str, first: int | None) -> FrameLabels:
    """The boxes of a table, called `name` in notes; `first` is the number of its first frame, where a user said it.

    Raises:
        DataError: it has no such columns, or a line has no number for its frame; the line is named.
    """
    lines = list(csv.reader(read_regular(path).decode("utf-8-sig", "replace").splitlines()))
    headed = bool(lines) and not _is_number(lines[0][0] if lines[0] else "")
    names = [cell.strip().lower() for cell in lines[0]] if headed else list(_MOT)
    layout, edges = next(((layout, words) for layout, words in EDGES if {*words} <= {*names}), (None, ()))
    frame = next((names.index(word) for word in FRAME if word in names), None)
    if layout is None or frame is None:
        raise DataError(
            f"{name} has the columns {', '.join(names)}; expected frame,id,x,y,w,h or frame and xmin,ymin,xmax,ymax"
        )
    places = [names.index(word) for word in edges]
    label, track = (next((names.index(word) for word in words if word in names), None) for words in (LABEL, TRACK))
    found: defaultdict[int, list[FoundBox]] = defaultdict(list)
    for at, cells in enumerate(lines[headed:], start=1 + headed):
        if not any(cell.strip() for cell in cells):
            continue
        cells = [cell.strip() for cell in cells] + [""] * (len(names) - len(cells))
        if not _is_number(cells[frame]) or float(cells[frame]) % 1:
            raise DataError(f"{name}:{at}: {cells[frame]!r} is no number of a frame")
        kind = cells[label] if label is not None else ""
        skipped = not headed and cells[6] != "" and _is_number(cells[6]) and float(cells[6]) == 0
        number = float(cells[track]) if track is not None and _is_number(cells[track]) else -1
        box = FoundBox(
            (kind if headed else _KINDS.get(kind, kind if kind not in ("", "-1") else "")) or OBJECT,
            four([cells[place] for place in places]),
            f"{name}:{at}",
            skipped,
            int(number) if number >= 0 else None,
        )
        found[int(float(cells[frame]))].append(box)
    if first is None:
        first = 0 if 0 in found or headed else 1
    return FrameLabels(name, {number - first: boxes for number, boxes in sorted(found.items())}, layout, first)


def labels_videos(source: Any) -> bool:
    """Return whether a folder has videos with tables beside them."""
    if not is_folder(source):
        return False
    return bool(tables_beside(Path(source), list(walk_files(Path(source), Leftovers(suffixes=VIDEOS)))))


def sequences(source: Any) -> list[str]:
    """The folders with `gt/gt.txt` beside `img1`, from the source, '.' for itself, as MOT Challenge has them."""
    if not is_folder(source):
        return []
    root = Path(source)
    found = [file.parent.parent for depth in ("", "*/", "*/*/") for file in root.glob(f"{depth}gt/gt.txt")]
    return sorted(str(folder.relative_to(root)) for folder in found if (folder / "img1").is_dir())


def tables_beside(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """The table beside each video that has one: `street.csv`, `street.txt` or `street.mp4.csv` for `street.mp4`."""
    found = {}
    for path in paths:
        names = (str(Path(path).with_suffix(".csv")), str(Path(path).with_suffix(".txt")), f"{path}.csv")
        place = next((name for name in names if (root / name).is_file()), None)
        if place is not None:
            found[path] = place
    return found


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
