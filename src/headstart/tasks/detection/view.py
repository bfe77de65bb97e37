"""Choice of the size that pictures are seen at, and of the strides that boxes are found on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.modality import raws_of
from headstart.contracts.task_capabilities import Choice
from headstart.kernel.errors import DataError
from headstart.media.images import image_size
from headstart.tasks.detection.boxes import CROWD, FRAMED
from headstart.tasks.detection.point_targets import REACH

STEP, LEAST_SIDE, MOST_CHOSEN = 32, 96, 512
"""The side of the square that pictures are seen in is a multiple of 32 pixels, and where it is chosen within these."""

USUAL = (8, 16, 32)
"""Strides where boxes ask for no other."""

FINER, COARSER = 4, 64

SHARE = 0.1
"""Of the boxes that must be too small or too large for the usual strides before another is added."""

CELLS = 2.0
"""Of the finest stride that the shorter side of a box should span."""


def chosen_side(examples: Examples) -> int:
    """The side that nine pictures in ten fit into at their own size, within bounds."""
    longest = float(np.quantile([max(size) for size in _sizes(examples)] or [LEAST_SIDE], 0.9))
    return min(max(math.ceil(longest / STEP) * STEP, LEAST_SIDE), MOST_CHOSEN)


def chosen_strides(framed: Sequence[np.ndarray]) -> tuple[int, ...]:
    """The usual strides, with a finer or a coarser one where a tenth of the boxes (boxes, 10) ask for it."""
    boxes = np.concatenate(framed)
    boxes = boxes[boxes[:, CROWD] == 0]
    sides = boxes[:, FRAMED][:, 2:] - boxes[:, FRAMED][:, :2]
    finer = (sides.min(axis=1) < CELLS * USUAL[0]).mean() > SHARE
    coarser = (sides.max(axis=1) / 2 > REACH * USUAL[-1]).mean() > SHARE
    return (*(FINER,) * int(finer), *USUAL, *(COARSER,) * int(coarser))


def shorter_sides(framed: Sequence[np.ndarray]) -> np.ndarray:
    """The shorter side (boxes,) of all boxes (boxes, 10) but crowds, in pixels of their frames."""
    boxes = np.concatenate(framed)
    boxes = boxes[boxes[:, CROWD] == 0]
    return np.asarray((boxes[:, FRAMED][:, 2:] - boxes[:, FRAMED][:, :2]).min(axis=1))


def lost_in_words(lost: int, boxes: int, side: int, finest: int) -> str:
    """The sentence on boxes that are narrower than the finest stride."""
    return (
        f"{lost} of {boxes} boxes are narrower than {finest} px, the finest stride, where pictures are seen at {side} "
        "px: they can hardly be found. --set task.image_side=N makes them larger, --set task.strides=[4, 8, 16, 32] "
        "their cells smaller"
    )


def size_notes(framed: Sequence[np.ndarray], side: int, strides: Sequence[int]) -> tuple[str, ...]:
    """Sentences on the boxes (boxes, 10) of pictures seen at `side` that are too small for the finest stride."""
    shorter = shorter_sides(framed)
    lost, small = int((shorter < strides[0]).sum()), int((shorter < CELLS * strides[0]).sum())
    found = []
    if lost:
        found.append(lost_in_words(lost, len(shorter), side, strides[0]))
    elif small > SHARE * len(shorter):
        found.append(
            f"{small} of {len(shorter)} boxes span fewer than {CELLS:g} cells of stride {strides[0]} where pictures "
            f"are seen at {side} px. --set task.image_side=N makes them larger"
        )
    return tuple(found)


def told(
    side: int, strides: Sequence[int], given: tuple[bool, bool], crowded: int, most: int, small: tuple[int, int]
) -> tuple[Choice, ...]:
    """Tell the user of a view that was chosen, and of pictures with more boxes than are kept of one.

    Args:
        given: whether side and strides are the user's. crowded: such pictures.
        small: boxes that are narrower than the finest stride, and all.
    """
    listed = ", ".join(map(str, strides))
    found = []
    if not given[0]:
        reason = "nine pictures in ten fit into it at their own size, or it is the largest that is chosen"
        found.append(Choice("size of the pictures", f"{side} px", f"{reason}. --set task.image_side=N for another"))
    if not given[1] and tuple(strides) != USUAL:
        reason = "more than a tenth of the boxes are too small or too large for the usual 8, 16, 32"
        found.append(Choice("strides", listed, f"{reason}. --set task.strides=[...] for others"))
    if small[0]:
        value = f"{small[0]} of {small[1]}"
        found.append(Choice("boxes too small", value, lost_in_words(*small, side, strides[0])))
    if crowded:
        reason = f"{crowded} pictures have more than {most} boxes: at most {most} of a picture are found"
        found.append(Choice("boxes of a picture", str(most), f"{reason}. --set task.most=N keeps more"))
    return tuple(found)


def _sizes(examples: Examples) -> list[tuple[int, int]]:
    found = []
    for raw in raws_of(examples):
        try:
            found.append(image_size(raw))
        except DataError:
            continue
    return found
