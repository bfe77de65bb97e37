"""Masks that were smoothed: resizing and JPEG make values between those of neighbouring classes, which mean nothing.

Such a value lies between a lower and a higher one wherever it occurs; the value of a class also lies among its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

REACH = 5
"""Side in pixels of the surroundings that are looked at: resizing may leave blocks of two."""

FEW, NEAR = 3, 16
"""Values of a mask, and their range, from which on it may have been smoothed: classes near to each other are nested."""

BLACK_AND_WHITE = {0, 255}

MOSTLY = 0.5
"""Share of a value's pixels that lie between others where smoothing made it."""


def pixels_between(mask: np.ndarray, values: np.ndarray) -> tuple[int, ...]:
    """Of each of the values (values,) of a mask (height, width), the pixels that lie between lower and higher ones.

    Empty where the values are few or near to each other.
    """
    if len(values) < FEW or values[-1] - values[0] < NEAR:
        return ()
    from scipy.ndimage import maximum_filter, minimum_filter

    numbers = np.searchsorted(values, mask).astype(np.min_scalar_type(len(values)))
    inside = (minimum_filter(numbers, REACH) < numbers) & (maximum_filter(numbers, REACH) > numbers)
    return tuple(np.bincount(numbers[inside], minlength=len(values)).tolist())


def smoothed(masks: Sequence[tuple[Sequence[int], Sequence[int], Sequence[int]]]) -> list[int]:
    """The values that smoothing seems to have made, of masks given by values, their pixels, and those of them between.

    None where they are not half of all values, or lie beyond all others. A single one between others than black and
    white may well be a class.
    """
    pixels: dict[int, int] = {}
    between: dict[int, int] = {}
    for values, counts, inside in masks:
        for value, count, those in zip(values, counts, inside or [0] * len(values)):
            pixels[value], between[value] = pixels.get(value, 0) + count, between.get(value, 0) + those
    made = sorted(value for value in pixels if between[value] > MOSTLY * pixels[value])
    kept = pixels.keys() - made
    if len(kept) < 2 or not made or not min(kept) < made[0] <= made[-1] < max(kept):
        return []
    return made if len(made) >= max(2, len(kept)) or kept == BLACK_AND_WHITE else []
