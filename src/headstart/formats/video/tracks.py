"""Tracks of predicted boxes: a table, a video with the boxes drawn in, a strip of its frames, and COCO with tracks.

The boxes are those of a COCO file of predictions, whose pictures are called after video and frame (`street.mp4#12`).
Each video is decoded once more, so that few of its frames are held.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.formats.video.decoding import Frame, Rule, Video, library
from headstart.kernel.files import read_json, write_json
from headstart.numerics.tracking import NO_TRACK, Limits, Tracker

BOXES, TABLE = "coco.json", "tracks.csv"
COLUMNS = ("video", "frame", "time", "track", "label", "score", "left", "top", "right", "bottom")

SURE = 0.25
"""Share of a video's boxes, those of the lowest scores, that go on with a track and begin none, unless they have the
usual score for that."""

STRIP, STRIP_HEIGHT = 6, 240
"""Frames of a strip, and their height in pixels."""

LOST_FRAMES = 3
"""Frames that a track may be out of sight at least, however far they lie apart."""

_COLOURS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (240, 228, 66))
"""Red, green and blue (Okabe & Ito 2008)."""


class _Seen(NamedTuple):
    """A frame with its boxes."""

    image: dict[str, Any]
    annotations: list[dict[str, Any]]

    def edges(self) -> np.ndarray:
        """(boxes, 4)"""
        found = np.array([one["bbox"] for one in self.annotations], np.float64).reshape(-1, 4)
        return np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)


def follow(root: Path, folder: Path, high: float | None) -> list[Path]:
    """Write the tracks of all videos below `folder`, which holds their boxes; return the files.

    Args:
        root: folder of the videos. folder: holds `coco.json`; nothing is written without it.
        high: score from which a box may begin a track; None: by the scores of a video.

    Raises:
        DataError: a video can no longer be read.
    """
    if not (folder / BOXES).is_file():
        return []
    document = read_json(folder / BOXES)
    videos = _by_video(document)
    names = {one["id"]: one["name"] for one in document["categories"]}
    document["videos"] = [{"id": at, "name": name} for at, name in enumerate(videos, start=1)]
    written = [folder / TABLE]
    with open(folder / TABLE, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for at, (name, seen) in enumerate(videos.items(), start=1):
            with _Drawing(folder, name, seen) as drawing:
                for frame, boxes in _tracked(root / name, seen, high):
                    boxes.image.update(video_id=at, frame_id=frame.number, time=round(frame.seconds, 4))
                    table.writerows(_rows(name, frame, boxes, names))
                    drawing.add(frame, boxes, names)
            written += drawing.files
    write_json(folder / BOXES, document)
    return written


def _by_video(document: Mapping[str, Any]) -> dict[str, dict[int, _Seen]]:
    """Video -> number of a frame -> its boxes."""
    of: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in document["annotations"]:
        of[one["image_id"]].append(one)
    found: defaultdict[str, dict[int, _Seen]] = defaultdict(dict)
    for image in document["images"]:
        name, _, number = image["file_name"].rpartition("#")
        if name and number.isdigit():
            found[name][int(number)] = _Seen(image, of[image["id"]])
    return dict(found)


def _tracked(path: Path, seen: Mapping[int, _Seen], high: float | None) -> Iterator[tuple[Frame, _Seen]]:
    """The frames with their boxes, which have a track from here on."""
    scores = [one["score"] for boxes in seen.values() for one in boxes.annotations]
    sure = high if high is not None else min(Limits().high, float(np.quantile(scores or [0.0], SURE)))
    numbers = sorted(seen)
    step = float(np.median(np.diff(numbers))) if len(numbers) > 1 else 1.0
    video, tracker = Video(path), None
    for frame in video.read(Rule("frame"), frozenset(seen)):
        if tracker is None:
            rate = (video.rate or 25.0) / step
            tracker = Tracker(rate, Limits(high=sure, lost=max(Limits().lost, LOST_FRAMES / rate)))
        boxes = seen[frame.number]
        kinds, given = ([one[key] for one in boxes.annotations] for key in ("category_id", "score"))
        tracks = tracker.update(frame.seconds, boxes.edges(), kinds, np.array(given, np.float64))
        for one, track in zip(boxes.annotations, tracks.tolist()):
            one["track_id"] = None if track == NO_TRACK else track
        yield frame, boxes


def _rows(video: str, frame: Frame, boxes: _Seen, names: Mapping[int, str]) -> Iterator[list[Any]]:
    for one, edges in zip(boxes.annotations, boxes.edges().round(2).tolist()):
        yield [
            video,
            frame.number,
            round(frame.seconds, 4),
            one["track_id"],
            names[one["category_id"]],
            one["score"],
            *edges,
        ]


class _Drawing:
    """A video with boxes drawn in, and a strip of some of its frames."""

    def __init__(self, folder: Path, name: str, seen: Mapping[int, _Seen]) -> None:
        self.files: list[Path] = []
        self._path = (folder / name).with_suffix(".mp4")
        full = [number for number in sorted(seen) if seen[number].annotations]
        chosen = np.linspace(0, len(full) - 1, min(STRIP, len(full))).round().astype(int).tolist() if full else []
        self._of_strip = {full[at] for at in chosen}
        self._strip: list[np.ndarray] = []
        self._writer: Any = None
        self._held: list[tuple[float, np.ndarray]] = []

    def __enter__(self) -> _Drawing:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, frame: Frame, boxes: _Seen, names: Mapping[int, str]) -> None:
        """The next frame; the first two say how fast the video goes."""
        pixels = _drawn(frame.pixels.copy(), boxes, names)
        if frame.number in self._of_strip:
            height, width = pixels.shape[:2]
            size = max(1, round(width * STRIP_HEIGHT / height)), STRIP_HEIGHT
            self._strip.append(library().resize(pixels, size, interpolation=library().INTER_AREA))
        if self._writer is not None:
            self._writer.write(pixels)
            return
        self._held.append((frame.seconds, pixels))
        if len(self._held) == 2:
            self._open(1 / max(self._held[1][0] - self._held[0][0], 1e-3))

    def _open(self, rate: float) -> None:
        cv2, (height, width) = library(), self._held[0][1].shape[:2]
        self._writer = cv2.VideoWriter(str(self._path), cv2.VideoWriter_fourcc(*"mp4v"), rate, (width, height))
        for _, pixels in self._held:
            self._writer.write(pixels)
        self._held = []

    def __exit__(self, fault: object, *_: object) -> None:
        if self._held and fault is None:
            self._open(1.0)
        if self._writer is not None:
            self._writer.release()
            self.files.append(self._path)
        if self._strip and fault is None:
            self.files.append(self._path.with_suffix(".strip.jpg"))
            library().imwrite(str(self.files[-1]), np.concatenate(self._strip, axis=1))


def _drawn(pixels: np.ndarray, boxes: _Seen, names: Mapping[int, str]) -> np.ndarray:
    cv2 = library()
    thick = max(1, round(pixels.shape[0] / 300))
    for one, edges in zip(boxes.annotations, boxes.edges()):
        left, top, right, bottom = edges.round().astype(int).tolist()
        track = one["track_id"]
        colour = (160, 160, 160) if track is None else _COLOURS[track % len(_COLOURS)][::-1]
        cv2.rectangle(pixels, (left, top), (right - 1, bottom - 1), colour, thick)
        words = names[one["category_id"]] + ("" if track is None else f" {track}")
        cv2.putText(pixels, words, (left, max(top - 3, 12)), cv2.FONT_HERSHEY_SIMPLEX, 0.4 * thick, colour, thick)
    return pixels
