"""Reading a picture whatever Pillow reads, always as 8-bit RGB, upright.

Values of 16-bit and floating images become 8 bits by the levels that are given, which `deep_pictures.py` learns for a
whole data set; without them each by levels of its own. Transparency is laid on white; EXIF rotation is applied; CMYK
and palettes are converted by Pillow. An image of more than `MOST_PIXELS` is refused before it is decoded.
"""

from __future__ import annotations

import io
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from headstart.kernel.errors import DataError
from headstart.kernel.regular import beginning_of, open_regular, require_regular
from headstart.media.deep_values import STEP, deep_values, is_deep
from headstart.media.jpeg import MOST_PIXELS, SIGNATURE, decode_jpeg
from headstart.media.recent import DECODED

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .bmp .dib .gif .webp .avif .tif .tiff .ppm .pgm .pbm .pnm .pfm .tga .ico"
    " .jp2 .j2k .jpc .jpf .jpx .j2c .pcx .sgi .rgb .bw .im .psd .dds .qoi .xbm .xpm".split()
)
"""File names that are taken for pictures, lower case."""

_SIGNATURES = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF8",
    b"BM",
    b"II*\x00",  # TIFF
    b"MM\x00*",
    b"\x00\x00\x00\x0cjP  ",  # JPEG 2000
    b"P5\n",
    b"P6\n",
)

MOST_AS_FLOATS = 1 << 20
"""Pixels of a 16-bit or floating picture that are scaled at once: whole, a large one would take gigabytes."""

# A process-wide filter, because `warnings.catch_warnings` is not safe in the threads that decode.
warnings.filterwarnings("ignore", module=r"PIL\.")


class Box(NamedTuple):
    """A part of a picture, in pixels of the upright picture."""

    top: int
    left: int
    height: int
    width: int


class Levels(NamedTuple):
    """The values that become black and white in pictures of more than 8 bits a channel; black < white."""

    black: float
    white: float


@dataclass(frozen=True)
class Crop:
    """A part of a picture that is not decoded yet."""

    source: Path | bytes
    box: Box


def decode_image(
    source: Path | bytes | Crop, *, at_least: int | None = None, levels: Levels | None = None
) -> Image.Image:
    """Decode to an upright RGB image of 8 bits per channel.

    Args:
        source: a file, the bytes of one, or a part of either.
        at_least: if given, a JPEG may be decoded at a reduced size with still this many pixels on its shorter side.
        levels: of images with more bits; without them such as hold all of the image's values.

    Raises:
        DataError: with the reason in a few words: empty, truncated, no image, too large.
        MemoryError: there is too little for it, which says nothing against the file.
    """
    if isinstance(source, Crop):
        return Image.fromarray(_cropped(source, levels))
    with open_image(source) as image:
        try:
            if at_least is not None:
                image.draft("RGB", (at_least, at_least))
            if levels is None or not is_deep(image):
                image.load()
                shown: Image.Image = image
            else:
                shown = _levelled(image, deep_values(image, lambda: open_image(source)), levels)
            _turn_upright(shown)
            return _to_rgb(shown)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever their format's code raises
            raise DataError(f"cannot be decoded: {error or type(error).__name__}") from error


def read_pixels(
    source: Path | bytes | Crop, *, at_least: int | None = None, levels: Levels | None = None
) -> np.ndarray:
    """The pixels of `decode_image` as (height, width, 3) uint8; a JPEG is decoded faster and to any eighth of its size.

    Raises:
        DataError: as `decode_image`.
    """
    if isinstance(source, Crop):
        return _cropped(source, levels)
    content = source if isinstance(source, bytes) else _jpeg_content(source)
    pixels = decode_jpeg(content, at_least)
    return np.array(decode_image(content or source, levels=levels)) if pixels is None else pixels


def _jpeg_content(path: Path) -> bytes:
    """The bytes of a JPEG file; none of another, which Pillow reads piece by piece or refuses by its size."""
    try:
        with open_regular(path) as file:
            start = file.read(len(SIGNATURE))
            return start + file.read() if start == SIGNATURE else b""
    except (OSError, ValueError):  # Pillow's path says in words what is wrong with the file
        return b""


def open_image(source: Path | bytes) -> ImageFile.ImageFile:
    """Open without decoding: size, mode and format are known then. Raises DataError as `decode_image` does."""
    try:
        empty = not source if isinstance(source, bytes) else require_regular(source).st_size == 0
        if empty:
            raise DataError("is empty (0 bytes)")
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError("is missing") from error
    except UnidentifiedImageError as error:
        raise DataError("is not an image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"is too large: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's openers raise whatever their format's code raises
        raise DataError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        raise DataError(f"is too large: {width}x{height} pixels, at most {MOST_PIXELS} are allowed")
    return image


def image_size(source: Path | bytes | Crop) -> tuple[int, int]:
    """Width and height in pixels as the image is seen upright, without decoding it. Raises DataError."""
    if isinstance(source, Crop):
        return source.box.width, source.box.height
    return stored_size(source).upright


class Stored(NamedTuple):
    """The size of an image as it lies in its file, and how EXIF turns it."""

    width: int
    height: int
    orientation: int
    """1..8; 1 for an image that lies upright."""

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height when it is turned."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def stored_size(source: Path | bytes) -> Stored:
    """Size and orientation of an image, which is not decoded. Raises DataError."""
    with open_image(source) as image:
        orientation = 1
        with suppress(Exception):  # a broken EXIF block does not spoil the pixels
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return Stored(*image.size, orientation if orientation in range(1, 9) else 1)


def is_jpeg(source: Path | bytes) -> bool:
    """Return whether a file is called as JPEGs are, or the bytes are those of one."""
    if isinstance(source, bytes):
        return source.startswith(SIGNATURE)
    return source.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif")


def _cropped(crop: Crop, levels: Levels | None) -> np.ndarray:
    """The part's pixels (height, width, 3) uint8; the picture is decoded in full."""
    top, left, height, width = crop.box
    whole = DECODED(crop.source, ("pixels", levels), lambda: read_pixels(crop.source, levels=levels))
    return whole[top : top + height, left : left + width].copy()


def looks_like_image(path: Path) -> bool:
    """Return whether a file begins as one of the common picture formats do; for files without a telling name."""
    start = beginning_of(path, 16)
    return start.startswith(_SIGNATURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def _turn_upright(image: Image.Image) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # a broken EXIF block does not spoil the pixels
        return


def _levelled(image: Image.Image, values: np.ndarray, levels: Levels) -> Image.Image:
    """An image whose values have more than 8 bits a channel in 8 bits, with its orientation."""
    pixels = _scaled(values, levels.black, levels.white - levels.black, levels.black)
    if values.ndim == 3 and values.shape[2] in (2, 4):  # the last channel says how opaque a pixel is
        pixels[..., -1] = values[..., -1] // STEP
    shown = Image.fromarray(pixels)
    with suppress(Exception):  # a broken EXIF block does not spoil the pixels
        # the values are loaded, and Pillow has turned those of a TIFF already
        shown.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return shown


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_by_own_levels(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def by_levels(values: np.ndarray, levels: Levels | None) -> np.ndarray:
    """Values (height, width, ...) of more than 8 bits as uint8; None: by the range that they were written for."""
    return _by_own_levels(values) if levels is None else _scaled(values, levels.black, levels.white - levels.black)


def _by_own_levels(pixels: np.ndarray) -> np.ndarray:
    """Scale by the range that the values were written for: the least of the usual ones that holds the greatest value.

    Integers: 8, 12, 16 or 32 bits. Floats: [0, 1], [0, 255] or up to the greatest. Negative values move up to 0.
    """
    ends = [(values.min(initial=0.0), values.max()) for values in (_finite(pixels[band]) for band in _bands(pixels))]
    least = min(low for low, _ in ends)
    greatest = max(high for _, high in ends) - least
    usual = (1, 255) if pixels.dtype.kind == "f" else (255, 4095, 65535, 2**32 - 1)
    return _scaled(pixels, least, next((top for top in usual if greatest <= top), greatest))


def _scaled(pixels: np.ndarray, black: float, scale: float, missing: float = 0.0) -> np.ndarray:
    scaled = np.empty(pixels.shape, np.uint8)
    for band in _bands(pixels):
        scaled[band] = np.floor((_finite(pixels[band], missing) - black) * (255.999 / scale)).clip(0, 255)
    return scaled


def _bands(pixels: np.ndarray) -> list[slice]:
    step = max(1, MOST_AS_FLOATS // max(1, pixels[:1].size))
    return [slice(start, start + step) for start in range(0, len(pixels), step)]


def _finite(pixels: np.ndarray, missing: float = 0.0) -> np.ndarray:
    return np.nan_to_num(pixels.astype(np.float64), copy=False, nan=missing, posinf=missing, neginf=missing)
