"""Reading a picture as any number of channels of 8 bits: grey, or the bands that stand in its file.

Grey is Pillow's, (19595 R + 38470 G + 7471 B) / 65536 (ITU-R BT.601). Bands are those of the file, page after page, so
that a TIFF whose pages are one band each has as many channels as pages; colours without transparency are opaque where
four are read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from headstart.kernel.errors import DataError
from headstart.media.images import Crop, Levels, by_levels, open_image, read_pixels

OPAQUE = 255


def read_channels(
    source: Path | bytes | Crop, channels: int, *, at_least: int | None = None, levels: Levels | None = None
) -> np.ndarray:
    """(height, width, channels) uint8. `at_least` and `levels` are as of `images.decode_image`.

    Raises:
        DataError: as there, or the picture has another number of channels.
    """
    if channels == 1:
        return grey(read_pixels(source, at_least=at_least, levels=levels))
    whole = _bands(source.source if isinstance(source, Crop) else source, channels, levels)
    if isinstance(source, Crop):
        top, left, height, width = source.box
        return whole[top : top + height, left : left + width].copy()
    return whole


def grey(pixels: np.ndarray) -> np.ndarray:
    """(height, width, 3) uint8 -> (height, width, 1) uint8"""
    summed = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32) + 0x8000
    found: np.ndarray = (summed >> 16).astype(np.uint8)[..., None]
    return found


def _bands(source: Path | bytes, channels: int, levels: Levels | None) -> np.ndarray:
    with open_image(source) as image:
        try:
            pages = [_page(page, levels) for page in ImageSequence.Iterator(image)]
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever their format's code raises
            raise DataError(f"cannot be decoded: {error or type(error).__name__}") from error
    if len({page.shape[:2] for page in pages}) > 1:
        raise DataError("has pages of different sizes, which cannot be channels of one picture")
    found = np.concatenate(pages, axis=2)
    if channels == 4 and found.shape[2] == 3:
        return np.dstack([found, np.full(found.shape[:2], OPAQUE, np.uint8)])
    if found.shape[2] != channels:
        raise DataError(f"has {found.shape[2]} channels, and backbone.channels = {channels} are read")
    return found


def _page(page: Image.Image, levels: Levels | None) -> np.ndarray:
    """(height, width, bands) uint8"""
    if page.mode in ("P", "PA"):
        page = page.convert("RGBA" if page.has_transparency_data else "RGB")
    values = np.asarray(page)
    values = values.astype(np.uint8) * OPAQUE if values.dtype == bool else values
    values = values if values.dtype == np.uint8 else by_levels(values, levels)
    return values if values.ndim == 3 else values[..., None]
