"""Reading an image file into the pixels that a model takes, free of timm, so that worker processes start quickly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.contracts.examples import Raw
from headstart.kernel.errors import BackboneError
from headstart.media.channels import grey, read_channels
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
    channels: int = 3

    @property
    def nbytes(self) -> int:
        """Bytes of a framed picture."""
        return self.framing.height * self.framing.width * self.channels

    def __call__(self, raw: Raw) -> np.ndarray:
        """(height, width, channels) uint8. Raises DataError."""
        at_least = self.framing.shorter_side if self.reduced else None
        if self.channels == 3:
            return self.framing(read_pixels(raw, at_least=at_least, levels=self.levels))
        return self.framing(read_channels(raw, self.channels, at_least=at_least, levels=self.levels))


@dataclass(frozen=True)
class TimmReader:
    """Decodes in full and frames with timm's own transforms."""

    preprocessing: Mapping[str, Any]
    levels: Levels | None = None
    """As of `PixelReader`."""
    channels: int = 3
    """3, or 1 for grey."""
    _built: list[Any] = field(default_factory=list, compare=False)

    @property
    def nbytes(self) -> int:
        """Bytes of a framed picture."""
        return math.prod(self.preprocessing["input_size"]) // 3 * self.channels

    def __call__(self, raw: Raw) -> np.ndarray:
        """(height, width, channels) uint8. Raises DataError."""
        if not self._built:
            from timm.data import create_transform

            self._built.append(create_transform(**self.preprocessing, is_training=False, normalize=False))
        pixels: np.ndarray = self._built[0](decode_image(raw, levels=self.levels)).permute(1, 2, 0).numpy()
        return grey(pixels) if self.channels == 1 else pixels


def whole_reader(
    preprocessing: Mapping[str, Any], decode: str, levels: Levels | None = None, channels: int = 3
) -> PixelReader:
    """The reader of whole pictures in a square of the preprocessing's size, on the colour that normalises to 0."""
    colour = [round(255 * value) for value in preprocessing["mean"]]
    fill = (round(sum(colour) / 3),) if channels == 1 else tuple(colour[k % 3] for k in range(channels))
    interpolation = preprocessing["interpolation"] if preprocessing["interpolation"] in FAST else "bilinear"
    framing = Whole(preprocessing["input_size"][1], interpolation, fill)
    return PixelReader(framing, decode != "full", levels, channels)


def reader_of(
    preprocessing: Mapping[str, Any], decode: str, levels: Levels | None = None, channels: int = 3
) -> PixelReader | TimmReader:
    """The reader for timm's preprocessing values; the fast one where `decode` allows it and framing is as usual."""
    _, height, width = preprocessing["input_size"]
    usual = preprocessing.get("crop_mode", "center") == "center" and height == width
    if decode == "full" or not usual or preprocessing["interpolation"] not in FAST:
        if channels not in (1, 3):
            raise BackboneError(
                f"backbone.channels = {channels} needs decode = fast, square pictures and bilinear or bicubic resizing"
            )
        return TimmReader(dict(preprocessing), levels, channels)
    shorter = int(height / (preprocessing.get("crop_pct") or 0.875))
    framing = Framing(shorter, height, width, preprocessing["interpolation"])
    return PixelReader(framing, levels=levels, channels=channels)
