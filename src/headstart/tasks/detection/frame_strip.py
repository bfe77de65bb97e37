"""Frames of a video with their predicted boxes and the tracks of these, as one picture for a report."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from headstart.contracts.panels import Picture
from headstart.numerics.tracking import NO_TRACK, Limits, Tracker
from headstart.tasks.detection.boxes import EDGES, LABEL, SCORE

FRAMES, HEIGHT = 6, 200
"""Frames that are shown, and their height in pixels."""
SURE = 0.25
"""Share of the boxes, those of the lowest scores, that go on with a track and begin none."""
LOST_FRAMES = 3
"""Frames that a track may be out of sight."""
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
"""Okabe & Ito 2008."""
NO_COLOUR = "#a0a0a0"


def frame_strip(
    video: str,
    found: Sequence[np.ndarray],
    times: np.ndarray,
    classes: Sequence[str],
    picture: Callable[[int], Image.Image],
) -> Picture | None:
    """Draw some frames of a video; None where no frame shows a box.

    Args:
        video: its name. found: boxes (boxes, 6) of each frame, see `boxes.py`. times: (frames,) seconds, ascending.
        classes: their names. picture: a frame by its place here, at least so large that `HEIGHT` loses nothing.
    """
    full = [place for place, boxes in enumerate(found) if len(boxes)]
    if not full:
        return None
    tracks = _tracks(found, times)
    chosen = [full[at] for at in np.unique(np.linspace(0, len(full) - 1, FRAMES).round().astype(int))]
    drawn = [_drawn(picture(place), found[place], tracks[place], classes) for place in chosen]
    strip = Image.new("RGB", (sum(image.width for image in drawn), HEIGHT))
    for at, image in zip(np.cumsum([0, *(image.width for image in drawn)]).tolist(), drawn):
        strip.paste(image, (at, 0))
    file = io.BytesIO()
    strip.save(file, "JPEG", quality=80)
    number = len({track for some in tracks for track in some.tolist()} - {NO_TRACK})
    shown = ", ".join(f"{times[place]:.3g} s" for place in chosen)
    told = f"{number} tracks in {len(found)} frames of {video}; shown at {shown}"
    note = f"{told}. Grey boxes belong to no track."
    return Picture.of("Frames with tracks", file.getvalue(), f"Frames of {video} with predicted boxes: {told}", note)


def _tracks(found: Sequence[np.ndarray], times: np.ndarray) -> list[np.ndarray]:
    """The track of each box of each frame."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    scores = np.concatenate([boxes[:, SCORE] for boxes in found])
    limits = Limits(high=min(Limits().high, float(np.quantile(scores, SURE))), lost=LOST_FRAMES * step)
    tracker = Tracker(1 / max(step, 1e-3), limits)
    return [
        tracker.update(float(at), boxes[:, EDGES], boxes[:, LABEL].astype(int).tolist(), boxes[:, SCORE])
        for at, boxes in zip(times, found)
    ]


def _drawn(image: Image.Image, boxes: np.ndarray, tracks: np.ndarray, classes: Sequence[str]) -> Image.Image:
    """A frame at its height in the strip, whose boxes are in pixels of the frame as it was."""
    scale = HEIGHT / image.height
    image = image.convert("RGB").resize((max(1, round(image.width * scale)), HEIGHT))
    draw = ImageDraw.Draw(image)
    for box, track in zip(boxes, tracks.tolist()):
        left, top, right, bottom = (box[EDGES] * scale).tolist()
        colour = NO_COLOUR if track == NO_TRACK else COLOURS[track % len(COLOURS)]
        draw.rectangle((left, top, right, bottom), outline=colour, width=2)
        words = classes[int(box[LABEL])] + ("" if track == NO_TRACK else f" {track}")
        draw.text((left + 3, top + 1), words, fill=colour)
    return image
