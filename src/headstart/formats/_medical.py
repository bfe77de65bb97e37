"""Shared by DICOM and NIfTI: the optional libraries, grey values in 8 bits, slices as files in memory.

A slice is kept as a PNG of 8 bits, some 50 to 200 KB, so that everything behind it treats it as any other picture;
10,000 of them are about a gigabyte.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from headstart.contracts.examples import Examples, Schema
from headstart.formats._legend import Legend
from headstart.kernel.errors import DataError

LOW, HIGH = 0.5, 99.5
"""Percentiles of a scan that become black and white where no window is given: few bright pixels spoil no contrast."""


Window = tuple[float, float]
"""Level and width, as scanners give them: black is level - width / 2, white level + width / 2."""


class Slice(NamedTuple):
    """A slice of a scan."""

    picture: bytes
    mask: bytes | None
    origin: str
    group: str
    """Patient or scan."""
    part: str = ""


def library(name: str) -> Any:
    """pydicom or nibabel. Raises DataError with what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(f'{name} is needed for these data: pip install "headstart[medical]"') from error


def grey(values: np.ndarray, window: tuple[float, float] | None = None) -> np.ndarray:
    """Values (...) of a whole scan as uint8, between the ends of the window, or else of the percentiles."""
    values = np.nan_to_num(values.astype(np.float64))
    low, high = window if window is not None else np.percentile(values, [LOW, HIGH])
    return ((values - low) / max(high - low, 1e-12) * 255).clip(0, 255).round().astype(np.uint8)


def require_width(window: Window | None) -> Window | None:
    """The window, if it has a width. Raises ValueError."""
    if window is not None and window[1] <= 0:
        raise ValueError("the second number is the width and must be > 0")
    return window


def ends(window: Window | None) -> tuple[float, float] | None:
    """The values that become black and white."""
    return None if window is None else (window[0] - window[1] / 2, window[0] + window[1] / 2)


def png(pixels: np.ndarray) -> bytes:
    """Grey pixels (height, width) uint8 as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def examples_of(slices: Sequence[Slice], notes: Sequence[str], legend: Legend, *, labelled: bool) -> Examples:
    """Slices as examples, with what must stay together on one side of a split."""
    table = {
        "slice": pa.array([one.picture for one in slices], pa.binary()),
        "origin": pa.array([one.origin for one in slices], pa.string()),
        "patient": pa.array([one.group for one in slices], pa.string()),
    }
    schema: dict[str, Any] = {"group": "patient"} if labelled else {}
    if labelled:
        table["mask"] = pa.array([one.mask for one in slices], pa.binary())
        schema |= {"targets": {"mask": "mask"}, "legend": legend.names, "unknown": legend.unknown}
        if any(one.part for one in slices):
            table["part"] = pa.array([one.part for one in slices], pa.string())
            schema["part"] = "part"
    found = Schema(modality="image", inputs=("slice",), origin="origin", **schema)
    return Examples(pa.table(table), found, (*notes, *legend.notes))
