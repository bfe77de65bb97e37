"""Masks: class maps over pictures, read exactly as they were written and written as indexed PNG.

Values are never resampled or scaled: of a palette there are the numbers and their colours, and of colours the three
bytes are one number. The size of a pixel is kept in the file where it is known.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin
from pydantic import Field

from headstart.kernel.errors import DataError
from headstart.media.images import open_image
from headstart.media.jpeg import upright

SPACING = "spacing_mm"
"""PNG text entry: height and width of a pixel in mm."""

COLOURS = tuple(
    bytes.fromhex(colour)
    for colour in "000000 e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 999999 882255 117733 332288".split()
)
"""Of the classes in masks and overlays: black, then those of Okabe & Ito (2008), which the colour-blind tell apart."""

COLOUR_NAMES = tuple(
    "black, orange, light blue, green, yellow, blue, red, pink, grey, wine, dark green, indigo".split(", ")
)
"""What a reader would call them."""


WHITE = 0x010101
"""Times a grey value: the same as a colour."""

KINDS = ("1", "L", "LA", "P", "PA", "I", "I;16", "I;16B", "I;16L", "F", "RGB", "RGBA")
"""Pillow's modes that masks can have."""


THRESHOLD = Field(default=None, ge=1, le=65535)
"""None or a threshold, as formats take it in their settings."""


class Reading(NamedTuple):
    """The way in which the masks of a data set are read."""

    threshold: int | None = None
    """Grey value from which on a pixel is 255, and 0 below; None: values as they stand."""
    orientation: int = 1
    """EXIF's of the picture, where the mask has to be turned as that is."""


AS_WRITTEN = Reading()


class MaskFile(NamedTuple):
    """A mask that is not read yet."""

    source: Path | bytes
    reading: Reading


@dataclass(frozen=True)
class Mask:
    """A class map as it lies in a file."""

    values: np.ndarray
    """(height, width) int64; colours as 0xRRGGBB."""
    coloured: bool
    """Whether the values are colours."""
    spacing: tuple[float, float] | None = None
    """Height and width of a pixel in mm, where it is known."""
    palette: np.ndarray | None = None
    """(values,) the colour 0xRRGGBB of each value, where the file has a palette."""

    def colours(self, values: np.ndarray) -> np.ndarray:
        """The colours 0xRRGGBB of some of its values (...)."""
        if self.coloured:
            return values
        return values * WHITE if self.palette is None else self.palette[values]


def read_mask(source: Path | bytes, reading: Reading = AS_WRITTEN) -> Mask:
    """Read a mask. What is transparent is 0: the background, whatever colour lies beneath.

    Raises:
        DataError: with the reason in a few words: missing, no image, of a kind that changes values, several pages.
    """
    with open_image(source) as image:
        if image.format == "JPEG" and reading.threshold is None:
            raise DataError(
                "is a JPEG, which changes the values of a mask: write masks as PNG; of two classes, "
                "--set format.threshold=128 takes values from 128 on for the second"
            )
        if image.mode not in KINDS:
            raise DataError(f"has {image.mode} colours; a mask has numbers, RGB colours or a palette")
        try:
            pages = getattr(image, "n_frames", 1)
            image.load()
            spacing, palette, values = _spacing(image), _palette(image), np.asarray(image)
            own = image.getexif().get(ExifTags.Base.Orientation, 1)
            if reading.threshold is not None:
                return Mask(upright(_cut(image, reading.threshold), own), False, spacing)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever their format's code raises
            raise DataError(f"cannot be decoded: {error or type(error).__name__}") from error
    if pages > 1:
        raise DataError(f"has {pages} pages or frames; a mask must have one")
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        raise DataError("contains decimal numbers; a mask must contain whole numbers")
    mask = Mask(values.astype(np.int64), False, spacing, palette) if values.ndim == 2 else _of_colours(values, spacing)
    return _turned(mask, reading.orientation if own == 1 else own)


def _of_colours(values: np.ndarray, spacing: tuple[float, float] | None) -> Mask:
    """Of channels (height, width, 2..4), the last of 2 and 4 of which says how opaque a pixel is."""
    if values.shape[2] in (2, 4):
        values = np.where(values[..., -1:] > 0, values[..., :-1], 0)
    colours = values.astype(np.int64)
    if (colours == colours[..., :1]).all():  # grey, saved as colours
        return Mask(colours[..., 0], False, spacing)
    return Mask((colours << np.array([16, 8, 0])).sum(axis=2), True, spacing)


def _turned(mask: Mask, orientation: int) -> Mask:
    if not 2 <= orientation <= 8:
        return mask
    spacing = mask.spacing[::-1] if mask.spacing and orientation >= 5 else mask.spacing
    return replace(mask, values=upright(mask.values, orientation), spacing=spacing)


def _cut(image: Image.Image, threshold: int) -> np.ndarray:
    """(height, width) int64: 255 where grey values reach the threshold, or where what is not transparent does."""
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    grey = np.asarray(image if image.mode.startswith(("L", "I", "F")) else image.convert("L"))
    return np.where(grey >= threshold, 255, 0).astype(np.int64)


def _palette(image: Image.Image) -> np.ndarray | None:
    """The colour of each value; transparent ones are black."""
    if image.mode == "1":
        return np.array([0, 255 * WHITE])
    if image.mode != "P":
        return None
    held = np.array(image.getpalette("RGBA"), np.int64).reshape(-1, 4)
    colours = np.zeros(256, np.int64)
    colours[: len(held)] = np.where(held[:, 3] > 0, (held[:, :3] << np.array([16, 8, 0])).sum(axis=1), 0)
    return colours


def encode_mask(classes: np.ndarray, spacing: tuple[float, float] | None = None) -> bytes:
    """A class map (height, width) of values in [0, 255] as an indexed PNG whose palette tells classes apart."""
    image = Image.fromarray(classes.astype(np.uint8), mode="P")
    image.putpalette(b"".join(colour_of(k) for k in range(256)))
    about = PngImagePlugin.PngInfo()
    if spacing is not None:
        about.add_text(SPACING, f"{spacing[0]:.9g} {spacing[1]:.9g}")
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=about)
    return file.getvalue()


def colour_of(number: int) -> bytes:
    """The colour of a class, three bytes."""
    if number < len(COLOURS):
        return COLOURS[number]
    return bytes((37 * number % 200 + 40, 91 * number % 200 + 40, 151 * number % 200 + 40))


def overlay(picture: Image.Image, classes: np.ndarray) -> Image.Image:
    """A picture under the classes of a map of its size (height, width), half transparent, without class 0."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    palette = np.array([list(colour_of(k)) for k in range(int(classes.max(initial=0)) + 1)], dtype=np.float64)
    pixels = np.where((classes != 0)[..., None], 0.45 * pixels + 0.55 * palette[classes], pixels)
    return Image.fromarray(pixels.astype(np.uint8))


def side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one height in a row on white, a little apart."""
    gap = 4
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    row = Image.new("RGB", (width, pictures[0].height), "white")
    at = 0
    for picture in pictures:
        row.paste(picture, (at, 0))
        at += picture.width + gap
    return row


def _spacing(image: Image.Image) -> tuple[float, float] | None:
    text = image.info.get(SPACING)
    if not isinstance(text, str):
        return None
    height, width = (float(part) for part in text.split())
    return height, width
