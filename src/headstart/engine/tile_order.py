"""An order of tiles that is random and yet decodes a picture once in an epoch, not once for each of its tiles.

Tiles are drawn from a pool of pictures, drawn at random too, that are kept decoded at the same time. So the time for
decoding grows with the pictures' area; drawn from all pictures it would grow with its square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.contracts.examples import Examples
from headstart.media.recent import DECODED

BYTES = 4
"""Of a pixel: three of the picture, one of its mask."""


@dataclass(frozen=True)
class Tiled:
    """The picture of each tile."""

    picture: np.ndarray
    """(tiles,) int64: the number of each one's picture."""
    sizes: np.ndarray
    """(pictures,) int64: bytes that each takes when it is decoded, with its mask."""

    def near(self, rows: np.ndarray) -> np.ndarray:
        """Some tiles in a random order (rows,): the same ones pool by pool, within each in that order."""
        pictures, first = np.unique(self.picture[rows], return_index=True)
        pool = np.zeros(len(self.sizes), np.int64)
        number = used = 0
        for picture in pictures[np.argsort(first)]:
            size = int(self.sizes[picture])
            if used and used + size > DECODED.most:
                number, used = number + 1, 0
            pool[picture], used = number, used + size
        return rows[np.argsort(pool[self.picture[rows]], kind="stable")]


def tiles_of(examples: Examples) -> Tiled | None:
    """Return the grouping of tiles by picture; None where examples are read whole."""
    if examples.schema.box is None:
        return None
    boxes = np.array(examples.column(examples.schema.box), np.int64)
    names, picture = np.unique(np.array(examples.origins(), dtype=object), return_inverse=True)
    sides = np.zeros((len(names), 2), np.int64)
    np.maximum.at(sides, picture, boxes[:, :2] + boxes[:, 2:])
    return Tiled(picture, BYTES * sides.prod(axis=1))
