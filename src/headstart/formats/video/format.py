"""Videos: their frames are pictures, and a file is their group, so that no split cuts through it.

A video alone, or a folder of them; class folders are classes, as for pictures. Which frames are taken is a setting.
Boxes are read from a table of the same name beside a video (`street.csv` for `street.mp4`); the frames that it names
are then the examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field, field_validator

from headstart.contracts.box_labels import BOXES, TARGET
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.left_out import left_out
from headstart.formats._box_layouts import BoxLayout
from headstart.formats._boxed_pictures import IMAGE, BoxedPicture, Written, box_rows
from headstart.formats._frame_labels import VIDEOS, FrameLabels, read_frame_labels, tables_beside
from headstart.formats._given_paths import is_path
from headstart.formats._image_groups import groups_of
from headstart.formats._image_layout import Placed, understand
from headstart.formats._image_scan import Leftovers, is_image_path, walk_files
from headstart.formats.video.decoding import Frame, Rule, Video, as_jpeg
from headstart.formats.video.tracks import follow
from headstart.kernel.errors import DataError, some
from headstart.kernel.settings import Settings
from headstart.media.images import SUFFIXES as PICTURES

AT_ONCE = 8
"""Frames that a stream holds at a time."""

BROKEN = "videos that cannot be read"


class _Row(NamedTuple):
    picture: bytes
    video: str
    """Path from the root."""
    number: int
    seconds: float
    boxes: BoxedPicture | None

    @property
    def origin(self) -> str:
        return f"{self.video}#{self.number}"


class VideoFrames(Settings):
    """A video, or a folder of videos."""

    every: str = "1s"
    """The frames that are examples: '1s' one in each second, '10 frames' each tenth, 'frame' all, 'change' those that
    differ from the last one by `change`."""
    change: float = Field(default=0.05, gt=0, lt=1)
    """Mean difference of grey values, a share of their range, from which a frame counts as changed; in (0, 1)."""

    first_frame: Literal[0, 1] | None = None
    """Number of the first frame in tables of boxes; by default 1 in MOT's, which have no header, and 0 in others."""

    track_score: float | None = Field(default=None, ge=0, le=1)
    """Score from which a predicted box may begin a track, in [0, 1]; those below go on with one. By default 0.6,
    or less where fewer than three in four boxes of a video have that."""

    @field_validator("every")
    @classmethod
    def _known_rule(cls, every: str) -> str:
        Rule(every)
        return every

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many videos; folders that hold pictures too are folders of pictures."""
        if not is_path(source):
            return None
        path = Path(source)
        if path.is_file():
            return "a video" if path.suffix.lower() in VIDEOS else None
        if not path.is_dir():
            return None
        videos = 0
        for file in walk_files(path, Leftovers(suffixes=VIDEOS | PICTURES)):
            if is_image_path(file):
                return None
            videos += 1
        return f"{videos} video{'s' if videos != 1 else ''}" if videos else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per frame that is taken: picture, time in seconds, video as group, and class or boxes.

        Videos that cannot be read are left out and named where others can.

        Raises:
            DataError: no videos; none can be read; or labels are wanted, and there are neither classes nor boxes.
        """
        root, paths, notes = _videos(source)
        layout = understand(paths)
        tables = tables_beside(root, paths) if labelled else {}
        boxes = {path: read_frame_labels(root / name, name, self.first_frame) for path, name in tables.items()}
        if labelled and not boxes and layout.loose():
            raise DataError(
                f"{source}: labels are wanted, and there are no class folders and no tables of boxes beside the "
                f"videos, such as {Path(paths[0]).with_suffix('.csv').name} with frame,id,x,y,w,h"
            )
        if boxes:
            notes += left_out([path for path in paths if path not in boxes], "videos without a table of boxes")
            paths = [path for path in paths if path in boxes]
        told: dict[str, list[str]] = {}
        found = [row for path in paths for row in self._frames(root, path, boxes.get(path), told)]
        notes = _require_frames(source, found, notes, told)
        for first in sorted({labels.first for labels in boxes.values()}):
            of = [labels.file for labels in boxes.values() if labels.first == first]
            notes.append(f"frames of {some(of, 2)} are numbered from {first} on; --set format.first_frame changes that")
        places = {placed.path: placed for placed in layout.images} if labelled else {}
        return _examples(root, found, places, columns, self._told(notes), _one_layout(boxes))

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The frames without labels, in the same order, at most `rows` or 8 at a time."""
        root, paths, notes = _videos(source)
        held, told = list[_Row](), dict[str, list[str]]()
        every = (row for path in paths for row in self._frames(root, path, None, told))
        plain = columns.model_copy(update={"group": None})
        for row in every:
            if len(held) == min(rows, AT_ONCE):
                yield _examples(root, held, {}, plain, notes, None)
                held = []
            held.append(row)
        notes = _require_frames(source, held, notes, told)
        yield _examples(root, held, {}, plain, self._told(notes), None)

    def followed(self, source: Any, folder: Path) -> list[Path]:
        """Write tracks of predicted boxes, and the videos with them drawn in; see `tracks.py`."""
        return follow(_videos(source)[0], folder, self.track_score)

    def _frames(self, root: Path, path: str, labels: FrameLabels | None, told: dict[str, list[str]]) -> Iterator[_Row]:
        """The frames of a video, with its boxes; what is to be told of it is added by its kind."""
        video = Video(root / path)
        try:
            wanted = None if labels is None else frozenset(labels.boxes)
            for frame in video.read(Rule(self.every, self.change), wanted):
                yield _row(path, frame, labels)
        except DataError as error:
            if "pip install" in str(error):
                raise
            told.setdefault(BROKEN, []).append(f"{path} {error}")
        for kind, found in video.faults.items():
            told.setdefault(kind, []).append(f"{path}, which {found}")
        if labels is not None and (beyond := labels.beyond(video.frames)):
            told.setdefault("tables with boxes behind the end of their video", []).append(
                f"{beyond} frames of {labels.file}"
            )

    def _told(self, notes: Sequence[str]) -> list[str]:
        what = "all frames" if self.every in ("frame", "all") else f"the frames of the rule '{self.every}'"
        return [*notes, f"examples are {what}; --every 0.2s, '5 frames', change or frame takes others"]


def _require_frames(
    source: Any, found: Sequence[_Row], notes: Sequence[str], told: Mapping[str, Sequence[str]]
) -> list[str]:
    """The notes with those on videos. Raises DataError where there are no frames."""
    if not found:
        raise DataError(f"{source}: no frame of any video can be read: {next(iter(told.get(BROKEN, ['it is empty'])))}")
    others = [f"{kind}: {len(names)}, such as {names[0]}" for kind, names in told.items() if kind != BROKEN]
    return [*notes, *left_out(told.get(BROKEN, []), BROKEN), *others]


def _row(path: str, frame: Frame, labels: FrameLabels | None) -> _Row:
    picture = as_jpeg(frame.pixels)
    boxed = None
    if labels is not None:
        boxed = BoxedPicture(path, labels.file, boxes=labels.boxes[frame.number], picture=picture)
    return _Row(picture, path, frame.number, frame.seconds, boxed)


def _one_layout(boxes: Mapping[str, FrameLabels]) -> BoxLayout | None:
    """The layout of all tables; None without any. Raises DataError where they have several."""
    found = {labels.layout: labels.file for labels in boxes.values()}
    if len(found) > 1:
        raise DataError(f"{' and '.join(found.values())} have other columns of boxes: give them the same")
    return next(iter(found), None)


def _videos(source: Any) -> tuple[Path, list[str], list[str]]:
    """The folder that paths start from, the videos, and notes. Raises DataError where there are none."""
    path = Path(source)
    if path.is_file():
        return path.parent, [path.name], []
    leftovers = Leftovers(suffixes=VIDEOS, what="videos")
    paths = list(walk_files(path, leftovers))
    if not paths:
        raise DataError(f"{path} holds no videos")
    for ending in (".csv", ".txt"):
        leftovers.other.pop(ending, None)
    return path, paths, [*leftovers.notes()]


def _examples(
    root: Path,
    rows: Sequence[_Row],
    places: dict[str, Placed],
    columns: Columns,
    notes: Sequence[str],
    layout: BoxLayout | None,
) -> Examples:
    pictures = [{"bytes": row.picture, "path": None} for row in rows]
    table = {
        "image": pa.array(pictures, IMAGE),
        "origin": pa.array([row.origin for row in rows], pa.string()),
        "time": pa.array([round(row.seconds, 4) for row in rows], pa.float64()),
        "video": pa.array([row.video for row in rows], pa.string()),
    }
    schema: dict[str, Any] = {"group": "video", "origin": "origin", "id": "time", "time": "time", "root": str(root)}
    if layout is not None:
        found, told = box_rows(root, [row.boxes for row in rows if row.boxes is not None], Written(layout))
        table[TARGET], schema["targets"] = pa.array(found, BOXES), {TARGET: TARGET}
        notes = [*notes, *told]
    elif places:
        table["label"] = pa.array([places[row.video].label for row in rows], pa.string())
        schema["targets"] = {"label": "label"}
    if any(place.part for place in places.values()):
        table["part"] = pa.array([places[row.video].part for row in rows], pa.string())
        schema["part"] = "part"
    if columns.group is not None:
        table["group"], more = groups_of(columns.group, [row.video for row in rows])
        schema["group"], notes = "group", [*notes, *more]
    return Examples(pa.table(table), Schema(modality="image", inputs=("image",), **schema), tuple(notes))
