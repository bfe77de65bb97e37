"""The target of a picture: its mask, which stays on disk until a batch needs it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from headstart.contracts.targets import PADDED_TARGET, Deferred
from headstart.kernel.errors import DataError
from headstart.media.framing import Whole
from headstart.media.images import Box
from headstart.media.masks import AS_WRITTEN, Reading, read_mask
from headstart.media.recent import DECODED
from headstart.tasks.segmentation.mask_classes import Classes, encoded


@dataclass(frozen=True)
class MaskTarget(Deferred):
    """A mask with the classes that its values stand for."""

    source: Path | bytes
    classes: Classes
    side: int
    """Of the square that pictures are framed in."""
    content: str
    """Hash of the mask's file."""
    present: tuple[int, ...]
    """The classes that occur in it, ascending."""
    box: Box | None = None
    """The part of it that is meant; None for all."""
    reading: Reading = AS_WRITTEN
    """The way in which the data set's masks are read."""

    @property
    def key(self) -> str:
        """The hash of the mask and how it is framed."""
        read = "" if self.reading == AS_WRITTEN else f"-{tuple(self.reading)}"
        return f"{self.content}-{self.side}-{self.box}{read}"

    def load(self) -> np.ndarray:
        """Class numbers (side, side) int64 as the framed picture lies; `PADDED_TARGET` where nothing is known, and
        where there is no picture."""
        truth = self.truth
        return Whole(self.side).classes(np.where(truth == len(self.classes.names), PADDED_TARGET, truth), PADDED_TARGET)

    @property
    def truth(self) -> np.ndarray:
        """Class numbers (height, width) int64 of the picture itself. Raises DataError when it can no longer be read."""
        if self.box is None:
            return self._whole()
        smallest = np.min_scalar_type(len(self.classes.names))
        whole = DECODED(self.source, (self.classes, self.reading), lambda: self._whole().astype(smallest))
        top, left, height, width = self.box
        return whole[top : top + height, left : left + width].astype(np.int64)

    def _whole(self) -> np.ndarray:
        try:
            mask = read_mask(self.source, self.reading)
        except DataError as error:
            raise DataError(f"the mask {self.source!r:.200} could be read before and now {error}") from error
        return encoded(mask, self.classes)

    @cached_property
    def spacing(self) -> tuple[float, float] | None:
        """Height and width of a pixel in mm, where it is known."""
        return read_mask(self.source, self.reading).spacing
