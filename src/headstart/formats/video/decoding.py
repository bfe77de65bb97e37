"""The frames of a video, decoded from its beginning to its end by OpenCV, and those that a rule takes.

Frames are counted by decoding, as the number that a file declares is an estimate. Their times are those of the file,
which may have a variable frame rate. A frame that is taken is kept as a JPEG of high quality: its content key goes by
its bytes, and so by video, decoder and rule.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.kernel.errors import DataError
from headstart.kernel.regular import beginning_of, require_regular

QUALITY = 95
"""Of JPEGs."""

CUT = 0.02
"""Share of the declared frames that may be missing before a video is said to be cut off."""

UNEVEN = 0.2
"""Share by which the time between two frames differs from the usual one where the frame rate is variable."""

THUMBNAIL = (32, 32)
"""Width and height at which frames are compared."""

_BEGINNINGS = (b"RIFF", b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"FLV", b"0&\xb2u", b"OggS", b"G@")
"""AVI, Matroska, MPEG, Flash, Windows Media, Ogg, MPEG-TS. FFmpeg would take a text for a list of other files."""
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")
"""Of the family of MP4, behind four bytes."""

_RULE = re.compile(r"(?P<seconds>\d+(?:\.\d+)?)\s*s|(?P<frames>\d+)\s*frames?|(?P<all>frame|all)|(?P<change>change)")


class Rule:
    """The frames of a video that are examples."""

    def __init__(self, every: str, change: float = 0.05) -> None:
        """`every` is '1s', '0.2s', '10 frames', 'frame' for all, or 'change', where a frame differs from the last taken
        one by `change` of the range of grey values. Raises ValueError."""
        found = _RULE.fullmatch(every.strip().lower())
        if found is None or not all(float(number) for number in (found["seconds"], found["frames"]) if number):
            raise ValueError(f"{every!r} is no rule for frames; expected '1s', '10 frames', 'frame' or 'change'")
        self.seconds, self.frames = float(found["seconds"] or 0), int(found["frames"] or 1)
        self.change = change if found["change"] else None
        self._due, self._last = 0.0, np.zeros(0)

    def takes(self, number: int, seconds: float, thumbnail: np.ndarray | None) -> bool:
        """Return whether the next frame is taken; its grey picture (rows, columns) decides where changes do."""
        if self.change is not None and thumbnail is not None:
            seen = thumbnail.astype(np.float64)
            takes = not self._last.size or float(np.abs(seen - self._last).mean()) >= 255 * self.change
            self._last = seen if takes else self._last
            return takes
        if self.seconds:
            takes = seconds >= self._due - 1e-6
            if takes:
                self._due = (np.floor(seconds / self.seconds + 1e-6) + 1) * self.seconds
            return takes
        return number % self.frames == 0


class Frame(NamedTuple):
    """A frame that was taken."""

    number: int
    """From 0 on."""
    seconds: float
    pixels: np.ndarray
    """(height, width, 3) uint8, blue first."""


@dataclass
class Video:
    """A video, and what was seen of it once its frames were read."""

    path: Path
    frames: int = 0
    """Decoded so far."""
    rate: float = 0.0
    """Frames in a second, as the file declares."""
    declared: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """Kind of what is to be told of it, in the plural -> of it alone."""

    def read(self, rule: Rule, wanted: frozenset[int] | None = None) -> Iterator[Frame]:
        """The frames that a rule takes, of those `wanted`; the others are decoded and passed by.

        Raises:
            DataError: it is no video, or has no frames; in words that follow its name.
        """
        cv2, capture = opened(self.path)
        try:
            self.rate = capture.get(cv2.CAP_PROP_FPS) or 0.0
            self.declared = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            times: list[float] = []
            while capture.grab():
                number, seconds = self.frames, self._seconds(capture.get(cv2.CAP_PROP_POS_MSEC), times)
                times.append(seconds)
                self.frames += 1
                if wanted is not None and number not in wanted:
                    continue
                pixels = _pixels(capture) if rule.change is not None else None
                if rule.takes(number, seconds, None if pixels is None else _thumbnail(cv2, pixels)):
                    yield Frame(number, seconds, _pixels(capture) if pixels is None else pixels)
            if not self.frames:
                raise DataError("holds no frame that can be decoded")
            self._tell(np.array(times))
        finally:
            capture.release()

    def _seconds(self, milliseconds: float, times: list[float]) -> float:
        """The time of a frame; by the frame rate where the file has none that goes on."""
        seconds = milliseconds / 1000
        if times and not seconds > times[-1]:
            return times[-1] + 1 / (self.rate or 25.0)
        return max(seconds, 0.0)

    def _tell(self, times: np.ndarray) -> None:
        missing = self.declared - self.frames
        if missing > max(2, CUT * self.declared):
            found = f"ends after {self.frames} of the {self.declared} frames that it declares"
            self.faults["videos that seem cut off"] = found
        steps = np.diff(times)
        if len(steps) > 2 and (np.abs(steps - np.median(steps)) > UNEVEN * np.median(steps)).mean() > CUT:
            found = f"goes at {1 / steps.max():.3g} to {1 / steps.min():.3g} frames a second"
            self.faults["videos of a variable frame rate, whose frames go by their times"] = found


def opened(path: Path) -> tuple[Any, Any]:
    """OpenCV and a capture of a video. Raises DataError in words that follow its name, or names what to install."""
    if not require_regular(path).st_size:
        raise DataError("is empty (0 bytes)")
    begins = beginning_of(path, 16)
    if not begins.startswith(_BEGINNINGS) and begins[4:8] not in _BOXES:
        raise DataError(f"is no video, whatever its name says: it begins with {begins!r}")
    cv2 = library()
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise DataError("cannot be decoded: it is cut off, has no frames, or is of a kind that OpenCV does not read")
    return cv2, capture


def library() -> Any:
    """OpenCV. Raises DataError with what to install."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what it says of broken files is said in our words
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise DataError('opencv-python-headless is needed for video: pip install "headstart[video]"') from error


def as_jpeg(pixels: np.ndarray) -> bytes:
    """A frame (height, width, 3) as a file in memory."""
    cv2 = library()
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


def _pixels(capture: Any) -> np.ndarray:
    """The frame that was grabbed last."""
    found, pixels = capture.retrieve()
    if not found:
        raise DataError("has a frame that cannot be decoded")
    return np.asarray(pixels)


def _thumbnail(cv2: Any, pixels: np.ndarray) -> np.ndarray:
    small: np.ndarray = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), THUMBNAIL, interpolation=cv2.INTER_AREA)
    return small
