"""Images: files, the encoded bytes of files, or parts of either; in memory also Pillow images and arrays of uint8."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from headstart.contracts.examples import Raw, Schema
from headstart.contracts.modality import PlainModality
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_bytes
from headstart.media.deep_pictures import learn_levels, own_levels
from headstart.media.images import SUFFIXES, Box, Crop, Levels, decode_image, image_size
from headstart.media.picture_kinds import picture_notes
from headstart.modalities._in_memory import shown, stored_at

KEPT_MODES = frozenset(("1", "L", "LA", "P", "I", "I;16", "F", "RGB", "RGBA", "CMYK"))
"""Pillow's modes that an uncompressed TIFF holds bit for bit."""

_FILE = (str, os.PathLike)


class ImageInput(PlainModality):
    """Images in files or in memory."""

    unit: ClassVar[str] = "images"

    levels: Levels | None = None
    """Black and white of pictures of more than 8 bits a channel; None: each picture's own."""

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """Paths below the schema's root, or encoded bytes; parts of these where the schema names a column of boxes."""
        sources = [stored_at(value, schema.root) for value in table.column(schema.inputs[0]).to_pylist()]
        if schema.box is None:
            return [*sources]
        boxes = table.column(schema.box).to_pylist()
        return [Crop(source, Box(*box)) for source, box in zip(sources, boxes)]

    def source(self, raw: Raw) -> Path | bytes:
        """The file of the whole image."""
        found: Path | bytes = raw.source if isinstance(raw, Crop) else raw
        return found

    def key(self, raw: Raw, digest: str) -> str:
        """The digest of the file; that of a part goes by the file and the place."""
        if not isinstance(raw, Crop):
            return digest
        return hash_bytes(b"part", digest.encode(), repr(tuple(raw.box)).encode())

    def picture(self, raw: Raw, at_least: int | None = None) -> Image.Image:
        """The image itself; one of more than 8 bits between the levels, or its own but for stray pixels."""
        return decode_image(raw, at_least=at_least, levels=self.levels or own_levels(self.source(raw)))

    def alike(self, raws: Sequence[Raw]) -> ImageInput:
        """Images between the levels of training images."""
        learnt = learn_levels(raws)
        return self if learnt is None else self.model_copy(update={"levels": learnt.levels})

    def size(self, raw: Raw) -> tuple[int, int]:
        """Size of the upright image, which is not decoded."""
        return image_size(raw)

    def remarks(self, raws: Sequence[Raw], origins: Sequence[str]) -> tuple[str, ...]:
        """Pages beyond the first, transparency and inks."""
        return picture_notes(raws, origins)

    def decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Black and white of pictures of more than 8 bits a channel."""
        learnt = learn_levels(raws)
        return () if learnt is None else (learnt.note,)

    def recognises(self, inputs: Any) -> float:
        """Certain of four axes, of three of bytes, and where the first input is an image or most are names of image
        files: a missing file is reported, not taken for a text."""
        if isinstance(inputs, np.ndarray) and inputs.ndim > 1:
            return float(inputs.ndim == 4 or (inputs.ndim == 3 and inputs.dtype == np.uint8))
        first = next(iter(inputs))
        if not isinstance(first, str):
            picture = isinstance(first, np.ndarray) and first.ndim in (2, 3)
            return float(picture or isinstance(first, (Image.Image, os.PathLike)))
        hits = [isinstance(item, str) and os.path.splitext(item)[1].lower() in SUFFIXES for item in inputs]
        return float(2 * sum(hits) > len(hits))

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """Paths stay paths, so that the hashes of files are found again; pixels become encoded files in memory."""
        kinds = pa.struct({"path": pa.string(), "bytes": pa.binary()})
        found = [
            {"path": os.fspath(item)} if isinstance(item, _FILE) else {"bytes": _encoded(item, row)}
            for row, item in enumerate(inputs)
        ]
        return {"image": pa.array(found, kinds)}


def _encoded(item: Any, row: int) -> bytes:
    """The pixels, upright, as an uncompressed image file."""
    if isinstance(item, np.ndarray):
        item = _picture(item, row)
    if not isinstance(item, Image.Image):
        raise DataError(
            f"row {row} of X holds {shown(item)}; expected an image file, a Pillow image or an array of uint8"
        )
    buffer = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(item)
        if upright.mode not in KEPT_MODES or "transparency" in upright.info:
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        upright.save(buffer, "TIFF", compression="raw")
    except Exception as error:  # Pillow's decoders raise whatever their format's code raises
        raise DataError(f"row {row} of X cannot be decoded: {error or type(error).__name__}") from error
    return buffer.getvalue()


def _picture(pixels: np.ndarray, row: int) -> Image.Image:
    flat = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    fits = flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not fits or not pixels.size:
        raise DataError(
            f"row {row} of X is an array of {pixels.dtype} {pixels.shape}; expected uint8 (height, width) or"
            " (height, width, channels) with 1, 3 or 4 channels. Values in [0, 1]: (255 * x).astype('uint8')."
            " Channels first: np.moveaxis(x, 0, -1)."
        )
    return Image.fromarray(flat)
