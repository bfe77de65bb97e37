"""Masks: class maps over pictures, read exactly as they were written and written as indexed PNG.

Values are never resampled, scaled or turned into colours: a palette's indices are the classes, and of colours the three
bytes are one number. The size of a pixel is kept in the file where it is known.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from headstart.kernel.errors import DataError
from headstart.media.images import open_image

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


@dataclass(frozen=True)
class Mask:
    """A class map as it lies in a file."""

    values: np.ndarray
    """(height, width) int64; colours as 0xRRGGBB."""
    coloured: bool
    """Whether the values are colours."""
    spacing: tuple[float, float] | None = None
    """Height and width of a pixel in mm, where it is known."""


def read_mask(source: Path | bytes) -> Mask:
    """Read a mask.

    Raises:
        DataError: with the reason in a few words: missing, no image, of a kind that changes values.
    """
    with open_image(source) as image:
        if image.format == "JPEG":
            raise DataError("is a JPEG, which changes the values of a mask: write masks as PNG")
        try:
            image.load()
            spacing = _spacing(image)
            values = np.asarray(image)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever their format's code raises
            raise DataError(f"cannot be decoded: {error or type(error).__name__}") from error
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        raise DataError("holds decimal numbers; a mask holds whole ones")
    if values.ndim == 2:
        return Mask(values.astype(np.int64), False, spacing)
    colours = values[..., :3].astype(np.int64) if values.shape[2] >= 3 else values[..., :1].astype(np.int64)
    if colours.shape[2] == 1 or (colours == colours[..., :1]).all():  # grey, saved as colours
        return Mask(colours[..., 0], False, spacing)
    return Mask((colours << np.array([16, 8, 0])).sum(axis=2), True, spacing)


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


def overlay(picture: Image.Image, classes: np.ndarray, background: Sequence[int] = (0,)) -> Image.Image:
    """A picture with the classes of a map of its size (height, width) laid over it, half transparent."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    palette = np.array([list(colour_of(k)) for k in range(int(classes.max(initial=0)) + 1)], dtype=np.float64)
    shown = ~np.isin(classes, background)
    pixels = np.where(shown[..., None], 0.45 * pixels + 0.55 * palette[classes], pixels)
    return Image.fromarray(pixels.astype(np.uint8))


def side_by_side(pictures: Sequence[Image.Image], gap: int = 4) -> Image.Image:
    """Pictures of one height in a row on white, `gap` pixels apart."""
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
