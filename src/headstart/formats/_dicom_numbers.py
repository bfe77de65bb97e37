"""Numbers in the headers of DICOM files, which may be anything: where a slice lies, its window, its size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headstart.kernel.errors import DataError
from headstart.media.jpeg import MOST_PIXELS


def place(header: Any) -> float:
    """Return where a slice lies along its series' normal, in mm; by its number where the place is not given."""
    position = _numbers(header, "ImagePositionPatient", 3)
    orientation = _numbers(header, "ImageOrientationPatient", 6)
    if position is None or orientation is None:
        return (_numbers(header, "InstanceNumber", 1) or (0.0,))[0]
    return float(np.cross(orientation[:3], orientation[3:]) @ np.array(position))


def window(header: Any) -> tuple[float, float] | None:
    """Return the values that become black and white; None where the file does not say. Raises DataError."""
    centre, width = _numbers(header, "WindowCenter", None), _numbers(header, "WindowWidth", None)
    if centre is None or width is None:
        return None
    return centre[0] - width[0] / 2, centre[0] + width[0] / 2  # a file may offer several windows


def spacing(header: Any) -> tuple[float, float] | None:
    """Return height and width of a pixel in mm; None where the file does not say. Raises DataError."""
    found = _numbers(header, "PixelSpacing", 2)
    return None if found is None else (found[0], found[1])


def rescaled(values: np.ndarray, header: Any) -> np.ndarray:
    """Return pixels (height, width) in the unit that the file rescales to. Raises DataError."""
    slope, intercept = (_numbers(header, name, 1) for name in ("RescaleSlope", "RescaleIntercept"))
    return values * ((slope or (1.0,))[0] or 1.0) + (intercept or (0.0,))[0]


def require_size(file: Any) -> None:
    """Refuse pixels that are more than a slice has, or than the file holds: memory is taken for them all.

    Raises:
        ValueError: with the numbers.
    """
    rows, columns, frames = (int(file.get(name) or 1) for name in ("Rows", "Columns", "NumberOfFrames"))
    if frames != 1:
        raise ValueError(f"it has {frames} frames; a slice is one picture")
    if rows * columns > MOST_PIXELS:
        raise ValueError(f"it has {columns}x{rows} pixels, at most {MOST_PIXELS} are allowed")
    needed = rows * columns * int(file.get("SamplesPerPixel") or 1) * int(file.get("BitsAllocated") or 8) // 8
    held = len(file.get("PixelData") or b"")
    if needed > held and not file.file_meta.TransferSyntaxUID.is_compressed:
        raise ValueError(f"its header tells of {columns}x{rows} pixels, {needed} bytes; it holds {held}")


def _numbers(header: Any, name: str, count: int | None) -> tuple[float, ...] | None:
    """Return the values of a field, `count` of them or any number; None where there are none. Raises DataError."""
    given = header.get(name)
    if given is None or given == "":
        return None
    values = [given] if isinstance(given, (str, int, float)) else list(given)
    try:
        found = tuple(float(value) for value in values)
        sound = bool(found) and all(map(math.isfinite, found)) and count in (None, len(found))
    except (TypeError, ValueError, OverflowError):
        sound = False
    if not sound:
        wanted = "numbers" if count is None else "a number" if count == 1 else f"{count} numbers"
        raise DataError(f"{header.filename}: {name} is {str(given)[:80]!r}; expected {wanted}")
    return found
