"""Large pictures as overlapping tiles, and the tiles' class probabilities blended to one mask.

Neighbouring tiles share a quarter of their side at least. Where several tiles see a pixel their probabilities are
averaged, each weighted by the pixel's distance from the tile's border, where a network sees least of the surroundings
(Isensee et al. 2021, nnU-Net, with a linear in place of a Gaussian weight).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import raws_of
from headstart.contracts.task import Targets
from headstart.contracts.windows import Windows
from headstart.kernel.errors import DataError
from headstart.media.framing import Whole
from headstart.media.images import Box, image_size
from headstart.media.masks import encode_mask
from headstart.tasks.segmentation.mask_scan import MASK

OVERLAP = 0.25
"""Least share of a tile's side that it has in common with the next."""

BOX = "__box__"
"""Column of the tiles' places."""


@dataclass(frozen=True)
class Tiles(Windows):
    """Pictures cut into tiles; `items` are not used."""

    boxes: tuple[Box, ...]
    """The place of each tile in its picture."""

    def take(self, rows: np.ndarray) -> Tiles:
        """The tiles of some rows (chosen,), in that order."""
        boxes = tuple(self.boxes[row] for row in rows)
        return Tiles(self.examples.take(rows), self.owner[rows], self.items[rows], boxes)

    def targets(self, whole: Targets) -> Targets:
        """The masks of the tiles."""
        found = np.empty(len(self.owner), dtype=object)
        for tile, (row, box) in enumerate(zip(self.owner, self.boxes)):
            found[tile] = replace(whole[MASK][row], box=box)
        return {MASK: found}

    def masks(self, scores: np.ndarray, side: int) -> list[bytes]:
        """Blend the packed probabilities (tiles,) of tiles of `side` pixels to a mask for each picture."""
        each = (np.flatnonzero(self.owner == row) for row in np.unique(self.owner))
        return [blended([*scores[tiles]], [self.boxes[tile] for tile in tiles], side) for tiles in each]


def cut(examples: Examples, side: int) -> Tiles | None:
    """Every picture in tiles of at most `side` pixels; None where none of them is larger.

    A picture that cannot be read is a tile of its own, so that it is named where it is read.
    """
    boxes = [_boxes(raw, side) for raw in raws_of(examples)]
    if all(len(some) == 1 for some in boxes):
        return None
    owner = np.repeat(np.arange(len(examples)), [len(some) for some in boxes])
    flat = tuple(box for some in boxes for box in some)
    rows = _kept_once(examples).take(owner)
    table = rows.table.append_column(BOX, pa.array([list(box) for box in flat], pa.list_(pa.int64())))
    schema = rows.schema.model_copy(update={"targets": {}, "box": BOX})
    return Tiles(Examples(table, schema, examples.notes), owner, np.zeros((len(owner), 2), np.int64), flat)


def packed(probabilities: np.ndarray) -> bytes:
    """Class probabilities (classes, side, side) in 8 bits, compressed: a tenth of their size where they are sure."""
    return zlib.compress((255 * probabilities).round().astype(np.uint8).tobytes(), 1)


def unpacked(content: bytes, side: int) -> np.ndarray:
    """Unpack scores, (classes, side, side) float32."""
    found = np.frombuffer(zlib.decompress(content), np.uint8).reshape(-1, side, side)
    return found.astype(np.float32) / 255


def blended(scores: Sequence[bytes], boxes: Sequence[Box], side: int) -> bytes:
    """The mask of one picture from the packed probabilities of its tiles, as a PNG of the picture's size."""
    height = max(top + rows for top, _, rows, _ in boxes)
    width = max(left + columns for _, left, _, columns in boxes)
    summed: np.ndarray | None = None
    for content, (top, left, rows, columns) in zip(scores, boxes):
        probabilities = unpacked(content, side)
        if summed is None:
            summed = np.zeros((len(probabilities), height, width), np.float32)
        weight = np.minimum.outer(_ramp(rows), _ramp(columns))
        for number, values in enumerate(probabilities):
            over = Whole(side).undone(values, rows, columns)
            summed[number, top : top + rows, left : left + columns] += weight * over
    if summed is None:
        raise DataError("a picture without tiles has no mask")
    return encode_mask(summed.argmax(axis=0))


def _ramp(length: int) -> np.ndarray:
    """Distance of each pixel from the nearer end, at least 1."""
    places = np.arange(length)
    return np.minimum(places, places[::-1]).astype(np.float32) + 1


def _kept_once(examples: Examples) -> Examples:
    """The same, where pictures in memory are not repeated with their rows."""
    name = examples.schema.inputs[0]
    pictures = examples.table.column(name)
    if not (pa.types.is_binary(pictures.type) or pa.types.is_large_binary(pictures.type)):
        return examples
    place = examples.table.column_names.index(name)
    table = examples.table.set_column(place, name, pictures.dictionary_encode())
    return Examples(table, examples.schema, examples.notes)


def _boxes(raw: Raw, side: int) -> list[Box]:
    try:
        width, height = image_size(raw)
    except DataError:
        return [Box(0, 0, side, side)]
    return list(_grid(height, width, side))


def _grid(height: int, width: int, side: int) -> Iterator[Box]:
    rows, columns = min(side, height), min(side, width)
    for top in _starts(height, rows):
        for left in _starts(width, columns):
            yield Box(top, left, rows, columns)


def _starts(length: int, side: int) -> list[int]:
    number = math.ceil((length - side) / (side * (1 - OVERLAP))) + 1
    return np.linspace(0, length - side, number).round().astype(int).tolist()
