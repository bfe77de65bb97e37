"""Inputs handed over in memory, as scikit-learn hands them, as Examples: numbers, texts, pairs, images, image files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image, ImageOps

from headstart.contracts.examples import Examples, Schema
from headstart.kernel.errors import DataError
from headstart.media.images import SUFFIXES

MODALITIES = ("table", "text", "image")

LABEL = "y"
"""The column of the labels: what scikit-learn calls them, and so do errors."""

KEPT_MODES = frozenset(("1", "L", "LA", "P", "I", "I;16", "F", "RGB", "RGBA", "CMYK"))
"""Pillow's modes that an uncompressed TIFF holds bit for bit."""

_FILE = (str, os.PathLike)


def modality_of(inputs: Any) -> str:
    """'image', 'text' or 'table'.

    Blocks of numbers are tables, or images if they have four axes, or three of bytes; blocks with one or two columns of
    strings are texts. Otherwise the first input decides. Strings are image files if most have the suffix of one: a
    missing file is an error to be told, not a text.
    """
    if isinstance(inputs, (np.ndarray, pd.DataFrame)) and inputs.ndim > 1:
        return _modality_of_block(np.asarray(inputs))
    if not is_sequence(inputs) or len(inputs) == 0:
        return "table"
    first = next(iter(inputs))
    if isinstance(first, (Image.Image, os.PathLike)) or (isinstance(first, np.ndarray) and first.ndim in (2, 3)):
        return "image"
    if isinstance(first, str):
        hits = [isinstance(item, str) and os.path.splitext(item)[1].lower() in SUFFIXES for item in inputs]
        return "image" if 2 * sum(hits) > len(hits) else "text"
    return "text" if isinstance(first, (tuple, list)) and len(first) == 2 and _are_texts(first) else "table"


def is_sequence(inputs: Any) -> bool:
    """Whether these are inputs one by one: a list, a tuple, an array or Series with one axis."""
    return getattr(inputs, "ndim", 1) == 1 and all(hasattr(inputs, name) for name in ("__len__", "__getitem__"))


def examples_of(inputs: Any, modality: str, label: np.ndarray | None) -> Examples:
    """Examples, with the target 'label' where `label` is given.

    Args:
        inputs: for 'table' numbers (examples, columns); else a sequence with one input per example, or for 'text' also
            strings (examples, 1 or 2), for 'image' also uint8 (examples, height, width[, channels]).
        modality: one of `MODALITIES`.
        label: (examples,) numbers.

    Raises:
        DataError: an input is of another kind.
    """
    columns = {"table": _numbers, "text": _texts, "image": _images}[modality](inputs)
    origins = [f"row {row}" for row in range(len(inputs))]
    if modality == "image":
        origins = [f"{row} ({item})" if isinstance(item, _FILE) else row for row, item in zip(origins, inputs)]
    table = pa.table({**columns, "__origin__": pa.array(origins, pa.string())})
    schema = Schema(modality=modality, inputs=tuple(columns), origin="__origin__")
    if label is None:
        return Examples(table, schema)
    labelled = schema.model_copy(update={"targets": {"label": LABEL}})
    return Examples(table.append_column(LABEL, pa.array(label)), labelled)


def _modality_of_block(block: np.ndarray) -> str:
    if block.ndim == 4 or (block.ndim == 3 and block.dtype == np.uint8):
        return "image"
    narrow = block.ndim == 2 and 1 <= block.shape[1] <= 2 and len(block) > 0
    return "text" if narrow and _are_texts(block[0]) else "table"


def _are_texts(parts: Iterable[Any]) -> bool:
    return all(isinstance(part, str) for part in parts)


def _numbers(inputs: Any) -> dict[str, Any]:
    block = np.asarray(inputs, dtype=np.float64)
    return {f"x{k}": block[:, k] for k in range(block.shape[1])}


def _texts(inputs: Any) -> dict[str, Any]:
    rows = list(inputs if is_sequence(inputs) else np.asarray(inputs))
    parts = [item if isinstance(item, (tuple, list, np.ndarray)) else (item,) for item in rows]
    width = len(parts[0]) if parts else 1
    wanted = {1: "a text", 2: "a pair of texts"}.get(width)
    for row, found in enumerate(parts):
        if wanted is None or len(found) != width or not _are_texts(found):
            raise DataError(
                f"row {row} of X holds {_shown(rows[row])}; expected {wanted or 'a text or a pair of texts'}"
            )
    columns = ([str(found[k]) for found in parts] for k in range(width))
    return {name: pa.array(column, pa.string()) for name, column in zip(("text", "text_pair"), columns)}


def _images(inputs: Any) -> dict[str, Any]:
    """Files stay where they are, so that their hashes are remembered by path; pixels become files in memory."""
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
            f"row {row} of X holds {_shown(item)}; expected an image file, a Pillow image or an array of uint8"
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


def _shown(item: Any) -> str:
    if isinstance(item, np.ndarray):
        return f"an array of {item.dtype} {item.shape}"
    text = repr(item)
    return f"{type(item).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
