"""Inputs handed over in memory, as scikit-learn hands them, as Examples: numbers, texts, pairs, images, image files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from headstart.contracts.examples import Examples, Schema
from headstart.kernel.errors import DataError
from headstart.media.images import SUFFIXES

MODALITIES = ("table", "text", "image")


def modality_of(inputs: Any) -> str:
    """'image', 'text' or 'table', by the first input and the names of files."""
    if isinstance(inputs, np.ndarray) and inputs.ndim == 4:
        return "image"
    one_by_one = isinstance(inputs, (list, tuple)) or getattr(inputs, "ndim", 0) == 1
    if not one_by_one or len(inputs) == 0:
        return "table"
    first = next(iter(inputs))
    if isinstance(first, (Image.Image, Path)) or (isinstance(first, np.ndarray) and first.ndim in (2, 3)):
        return "image"
    if isinstance(first, str):
        return "image" if Path(first).suffix.lower() in SUFFIXES and Path(first).is_file() else "text"
    if isinstance(first, (tuple, list)) and len(first) == 2 and all(isinstance(part, str) for part in first):
        return "text"
    return "table"


def examples_of(inputs: Sequence[Any] | np.ndarray, modality: str, label: np.ndarray | None) -> Examples:
    """Examples with the target 'label' where `label` (examples,) is given.

    Raises:
        DataError: an input is of another kind than the first.
    """
    if modality == "table":
        numbers = np.asarray(inputs, dtype=np.float64)
        columns: dict[str, Any] = {f"x{k}": numbers[:, k] for k in range(numbers.shape[1])}
    elif modality == "text":
        columns = _texts(list(inputs))
    else:
        columns = {"image": [_image(item, row) for row, item in enumerate(inputs)]}
    table = pa.table({**columns, "__origin__": [f"row {row}" for row in range(len(inputs))]})
    schema = Schema(modality=modality, inputs=tuple(columns), origin="__origin__")
    if label is None:
        return Examples(table, schema)
    labelled = schema.model_copy(update={"targets": {"label": "__label__"}})
    return Examples(table.append_column("__label__", pa.array(label)), labelled)


def _texts(inputs: list[Any]) -> dict[str, Any]:
    pairs = isinstance(inputs[0], (tuple, list))
    for row, item in enumerate(inputs):
        parts = item if pairs else (item,)
        if not isinstance(parts, (tuple, list)) or not all(isinstance(part, str) for part in parts):
            raise DataError(
                f"row {row} holds {type(item).__name__}; expected {'a pair of texts' if pairs else 'a text'}"
            )
    if not pairs:
        return {"text": [str(item) for item in inputs]}
    return {"text": [item[0] for item in inputs], "text_pair": [item[1] for item in inputs]}


def _image(item: Any, row: int) -> bytes:
    if isinstance(item, (str, Path)):
        try:
            return Path(item).read_bytes()
        except OSError as error:
            raise DataError(f"row {row}: {item} cannot be read: {error.strerror}") from error
    if isinstance(item, np.ndarray) and item.dtype == np.uint8:
        item = Image.fromarray(item)
    if not isinstance(item, Image.Image):
        kind = f"an array of {item.dtype}" if isinstance(item, np.ndarray) else type(item).__name__
        raise DataError(f"row {row} holds {kind}; expected an image file, a Pillow image or an array of uint8")
    buffer = io.BytesIO()
    (item if item.mode in ("L", "RGB", "RGBA", "P", "1", "LA", "I;16") else item.convert("RGB")).save(buffer, "PNG")
    return buffer.getvalue()
