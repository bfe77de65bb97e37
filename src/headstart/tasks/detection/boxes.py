"""Boxes as the task has them: rows of numbers for each picture, over the framed picture and over the picture itself.

A frame is `media.framing.Whole`: all of a picture in the upper left corner of a square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.box_labels import TARGET
from headstart.contracts.examples import Examples
from headstart.contracts.modality import raws_of
from headstart.contracts.placed_targets import BOX_CLASS, BOX_CROWD, BOX_OWN
from headstart.kernel.errors import DataError, some
from headstart.media.framing import Whole
from headstart.media.images import image_size

FRAMED, CLASS, CROWD, OWN = slice(0, 4), BOX_CLASS, BOX_CROWD, BOX_OWN
"""Columns of targets: left, top, right and bottom over the frame, the class, whether it is a crowd, and the edges over
the picture."""
COLUMNS = 10

EDGES, SCORE, LABEL = slice(0, 4), 4, 5
"""Columns of predictions: the edges over the picture, the score, the class."""

Ragged = Sequence[np.ndarray] | np.ndarray
"""(pictures,) of arrays (boxes, columns)."""

Box = Mapping[str, Any]
"""As `contracts/box_labels.py` has it."""


class Frame(NamedTuple):
    """A picture's size and its place in a frame, in pixels."""

    width: int
    height: int
    across: int
    """Pixels of the frame's width that it takes."""
    down: int


def labelled_boxes(examples: Examples) -> list[Sequence[Box]]:
    """The boxes of each picture.

    Raises:
        DataError: a picture has no labels, a box no class or no area.
    """
    given, origins = examples.target(TARGET), examples.origins()
    missing = [origin for origin, boxes in zip(origins, given) if boxes is None]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(given)} pictures have no labels: {some(missing, 4)}. Leave them out, or give an "
            "empty list of boxes where a picture shows no object"
        )
    for origin, boxes in zip(origins, given):
        for box in boxes:
            if box["label"] is None:
                raise DataError(f"{origin}: a box has no class ({edges_text(box)})")
            if not (box["left"] < box["right"] and box["top"] < box["bottom"]):
                raise DataError(f"{origin}: the box {edges_text(box)} of '{box['label']}' has no area")
    return given


def edges_text(box: Box) -> str:
    """The edges for a message: 'left 1, top 2, right 3, bottom 4'."""
    return ", ".join(f"{edge} {box[edge]:g}" for edge in ("left", "top", "right", "bottom"))


def class_names(labels: Sequence[Sequence[Box]]) -> tuple[str, ...]:
    """The classes of all boxes but crowds, in alphabetical order. Raises DataError without any."""
    names = {box["label"] for boxes in labels for box in boxes if not box["crowd"]}
    if not names:
        raise DataError(f"none of the {len(labels)} pictures has a box: there is nothing to learn")
    return tuple(sorted(names))


def counted(labels: Sequence[Sequence[Box]]) -> Counter[str]:
    """The number of boxes of each class, crowds left out."""
    return Counter(box["label"] for boxes in labels for box in boxes if not box["crowd"])


def frame_of(size: tuple[int, int], side: int) -> Frame:
    """The place of a picture (width, height) in a square of `side` pixels."""
    down, across = Whole(side).resized(size[1], size[0])
    return Frame(*size, across, down)


def frames_of(examples: Examples, side: int) -> list[Frame]:
    """The place of each picture; one that cannot be read takes all of its square."""
    found = []
    for raw in raws_of(examples):
        try:
            found.append(frame_of(image_size(raw), side))
        except DataError:
            found.append(Frame(side, side, side, side))
    return found


def encoded(boxes: Sequence[Box], frame: Frame, numbers: Mapping[str, int]) -> np.ndarray:
    """The target of a picture, (boxes, 10) float64, clipped to the picture; `numbers` are those of the classes.

    A crowd of a class that has no box is left out: nothing is learnt of that class.
    """
    rows = [box for box in boxes if not box["crowd"] or box["label"] in numbers]
    found = np.zeros((len(rows), COLUMNS))
    if rows:
        limits = (frame.width, frame.height) * 2
        own = np.array([[box["left"], box["top"], box["right"], box["bottom"]] for box in rows], np.float64)
        found[:, OWN] = own.clip(0, limits)
        found[:, FRAMED] = found[:, OWN] * ((frame.across / frame.width, frame.down / frame.height) * 2)
        found[:, CLASS] = [numbers[box["label"]] for box in rows]
        found[:, CROWD] = [bool(box["crowd"]) for box in rows]
    return found
