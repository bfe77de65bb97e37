"""Reading a picture whatever Pillow reads, always as 8-bit RGB, upright.

16-bit and floating images are scaled, not clipped; transparency is laid on white; EXIF rotation is applied; CMYK and
palettes are converted by Pillow. An image of more than `MOST_PIXELS` is refused before it is decoded.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from headstart.kernel.errors import DataError

MOST_PIXELS = 178_956_970
"""Pillow's own limit for a decompression bomb: a quarter gigapixel of 24 bits."""

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .bmp .dib .gif .webp .tif .tiff .ppm .pgm .pbm .pnm .tga .ico .jp2 .j2k .avif"
    " .pcx .sgi .im".split()
)
"""File names that are taken for pictures, lower case."""


def decode_image(source: Path | bytes, *, at_least: int | None = None) -> Image.Image:
    """Decode to an upright RGB image of 8 bits per channel.

    Args:
        source: a file or the bytes of one.
        at_least: if given, a JPEG may be decoded at a reduced size with still this many pixels on its shorter side.

    Raises:
        DataError: with the reason in a few words: empty, truncated, no image, too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_image(source) as image:
            try:
                if at_least is not None:
                    image.draft("RGB", (at_least, at_least))
                return _to_rgb(ImageOps.exif_transpose(image))
            except Exception as error:  # Pillow's decoders raise whatever their format's code raises
                raise DataError(f"cannot be decoded: {error or type(error).__name__}") from error


def open_image(source: Path | bytes) -> Image.Image:
    """Open without decoding: size, mode and format are known then. Raises DataError as `decode_image` does."""
    try:
        empty = not source if isinstance(source, bytes) else source.stat().st_size == 0
        if empty:
            raise DataError("is empty (0 bytes)")
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except FileNotFoundError as error:
        raise DataError("is missing") from error
    except UnidentifiedImageError as error:
        raise DataError("is no image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"is too large: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"cannot be opened: {error}") from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        raise DataError(f"is too large: {width}x{height} pixels, at most {MOST_PIXELS} are allowed")
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Integers are taken for 16 bits (or what they need, when more), floats for [0, 1] or [0, 255]."""
    if pixels.dtype.kind == "f":
        finite = np.nan_to_num(pixels)
        return np.clip(finite * (255 if finite.max(initial=0) <= 1 else 1), 0, 255).astype(np.uint8)
    wide = np.clip(pixels.astype(np.int64), 0, None)
    shift = max(8, int(wide.max(initial=0)).bit_length() - 8)
    return (wide >> shift).astype(np.uint8)
