"""Reading an image file into the pixels that a model takes, free of timm, so that worker processes start quickly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.contracts.examples import Raw
from headstart.media.framing import Framing, Whole
from headstart.media.images import Levels, decode_image, read_pixels

FAST = ("bilinear", "bicubic")
"""Interpolations that PyTorch has for bytes."""


@dataclass(frozen=True)
class PixelReader:
    """Decodes at a reduced size where the file is large enough, and frames."""

    framing: Framing | Whole
    reduced: bool = True
    """Whether a large JPEG may be decoded at a reduced size."""
    levels: Levels | None = None
    """Black and white of pictures of more than 8 bits a channel; None: each picture's own."""

    @property
    def nbytes(self) -> int:
        """Bytes of a framed picture."""
        return self.framing.height * self.framing.width * 3

    def __call__(self, raw: Raw) -> np.ndarray:
        """(height, width, 3) uint8. Raises DataError."""
        at_least = self.framing.shorter_side if self.reduced else None
        return self.framing(read_pixels(raw, at_least=at_least, levels=self.levels))


@dataclass(frozen=True)
class TimmReader:
    """Decodes in full and frames with timm's own transforms."""

    preprocessing: Mapping[str, Any]
    levels: Levels | None = None
    """As of `PixelReader`."""
    _built: list[Any] = field(default_factory=list, compare=False)

    @property
    def nbytes(self) -> int:
        """Bytes of a framed picture."""
        return math.prod(self.preprocessing["input_size"])

    def __call__(self, raw: Raw) -> np.ndarray:
        """(height, width, 3) uint8. Raises DataError."""
        if not self._built:
            from timm.data import create_transform

            self._built.append(create_transform(**self.preprocessing, is_training=False, normalize=False))
        pixels: np.ndarray = self._built[0](decode_image(raw, levels=self.levels)).permute(1, 2, 0).numpy()
        return pixels


def whole_reader(preprocessing: Mapping[str, Any], decode: str, levels: Levels | None = None) -> PixelReader:
    """The reader of whole pictures in a square of the preprocessing's size, on the colour that normalises to 0."""
    red, green, blue = (round(255 * value) for value in preprocessing["mean"])
    interpolation = preprocessing["interpolation"] if preprocessing["interpolation"] in FAST else "bilinear"
    framing = Whole(preprocessing["input_size"][1], interpolation, (red, green, blue))
    return PixelReader(framing, decode != "full", levels)


def reader_of(preprocessing: Mapping[str, Any], decode: str, levels: Levels | None = None) -> PixelReader | TimmReader:
    """The reader for timm's preprocessing values; the fast one where `decode` allows it and framing is as usual."""
    _, height, width = preprocessing["input_size"]
    usual = preprocessing.get("crop_mode", "center") == "center" and height == width
    if decode == "full" or not usual or preprocessing["interpolation"] not in FAST:
        return TimmReader(dict(preprocessing), levels)
    shorter = int(height / (preprocessing.get("crop_pct") or 0.875))
    return PixelReader(Framing(shorter, height, width, preprocessing["interpolation"]), levels=levels)
