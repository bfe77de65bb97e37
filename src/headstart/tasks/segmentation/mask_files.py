"""Predicted masks: where a picture lies in its square, what share of it each class takes, and its mask as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import raws_of
from headstart.kernel.errors import DataError
from headstart.kernel.files import write_atomic
from headstart.media.framing import Whole
from headstart.media.images import image_size
from headstart.media.masks import encode_mask
from headstart.tasks.segmentation.mask_classes import Classes
from headstart.tasks.segmentation.mask_overlap import decoded, over_picture

NOWHERE = 255
"""In predicted masks: there is no picture here. One more than there can be classes."""


def places_in_square(examples: Examples, side: int) -> np.ndarray:
    """(examples, 2) int64: the rows and columns that each picture takes; all of one that cannot be read."""
    return np.array([_place(raw, side) for raw in raws_of(examples)], np.int64).reshape(-1, 2)


def within(numbers: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A class map over a square (side, side), `NOWHERE` beside the picture."""
    found = np.full_like(numbers, NOWHERE, dtype=np.uint8)
    rows, columns = inside
    found[:rows, :columns] = numbers[:rows, :columns]
    return found


def shares_of(masks: Sequence[bytes] | np.ndarray, classes: int) -> np.ndarray:
    """(pictures, classes) in [0, 1]: of the pixels of each picture."""
    counts = np.array([np.bincount(decoded(mask).ravel(), minlength=NOWHERE + 1) for mask in masks])[:, :classes]
    return counts / counts.sum(axis=1, keepdims=True)


def write_masks(
    classes: Classes,
    masks: Sequence[bytes] | np.ndarray,
    side: int,
    raws: Sequence[Raw],
    names: Sequence[str],
    folder: Path,
) -> list[str]:
    """Indexed PNG masks of the pictures' own size with the values of the training masks, where these fit a byte.

    Colours and numbers of objects do not: then the classes are numbered from 0. `legend.json` says value -> name.
    """
    fit = bool(classes.values) and not classes.coloured and 0 <= min(classes.values) <= max(classes.values) <= NOWHERE
    values = np.array(classes.values if fit else range(len(classes.names)), np.uint8)
    legend = {str(value): name for value, name in zip(values.tolist(), classes.names)}
    write_atomic(folder / "legend.json", (json.dumps(legend, ensure_ascii=False, indent=1) + "\n").encode())
    for mask, raw, name in zip(masks, raws, names):
        width, height = image_size(raw)
        numbers = over_picture(mask, height, width, side)
        write_atomic(folder / f"{name}.png", encode_mask(values[numbers]))
    return [f"{name}.png" for name in names]


def _place(raw: Raw, side: int) -> tuple[int, int]:
    try:
        width, height = image_size(raw)
    except DataError:
        return side, side
    return Whole(side).resized(height, width)
