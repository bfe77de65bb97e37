"""How well a predicted mask covers the true one: pixels of each true and predicted class, and how far borders lie
apart.

Dice = 2 |A and B| / (|A| + |B|) (Dice 1945), IoU = |A and B| / |A or B| (Jaccard 1912), for each class of each picture.
A class that neither mask of a picture has is undefined there and counts in no mean; one that only one mask has scores
0.

The Hausdorff distance is taken between the borders of A and B, pixels with a neighbour outside (the picture's edge
counts as outside), at the 95th percentile: the greater of the percentiles of the distances from A's border to B's and
back, as MONAI has it (`compute_hausdorff_distance`, percentile=95). Where one of the masks lacks the class it is the
picture's diagonal, where both do it is undefined.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion, distance_transform_edt

from headstart.media.framing import Whole
from headstart.tasks._mask_target import MaskTarget

KEPT = 1 << 14
"""Pictures whose comparison is kept, as several metrics ask for it."""


def decoded(mask: bytes) -> np.ndarray:
    """A predicted mask as class numbers (height, width) uint8."""
    with Image.open(io.BytesIO(mask)) as image:
        return np.array(image)


def over_picture(mask: bytes, height: int, width: int, side: int) -> np.ndarray:
    """A predicted mask as it lies over its picture, (height, width) uint8: framed (side, side), or so already."""
    values = decoded(mask)
    return values if values.shape == (height, width) else Whole(side).undone(values, height, width)


@lru_cache(maxsize=KEPT)
def confusion(target: MaskTarget, mask: bytes) -> np.ndarray:
    """Pixels of each true (rows) and predicted (columns) class, (classes, classes) int64."""
    truth, predicted = _pair(target, mask)
    classes = len(target.classes.names)
    known = truth < classes
    codes = truth[known] * classes + predicted[known]
    return np.bincount(codes, minlength=classes * classes).reshape(classes, classes)


@lru_cache(maxsize=KEPT)
def distance(target: MaskTarget, mask: bytes, number: int, in_mm: bool) -> float:
    """The 95th-percentile Hausdorff distance of a class, in mm or pixels; NaN where it or the spacing is undefined."""
    spacing = target.spacing if in_mm else (1.0, 1.0)
    if spacing is None:
        return math.nan
    truth, predicted = _pair(target, mask)
    return hausdorff95(truth == number, predicted == number, spacing)


def hausdorff95(one: np.ndarray, other: np.ndarray, spacing: tuple[float, float]) -> float:
    """Between two areas (height, width) bool; `spacing`: the height and width of a pixel in the unit of the answer."""
    if not one.any() and not other.any():
        return math.nan
    if not one.any() or not other.any():
        return math.hypot(one.shape[0] * spacing[0], one.shape[1] * spacing[1])
    first, second = one & ~binary_erosion(one), other & ~binary_erosion(other)
    there = distance_transform_edt(~second, sampling=spacing)[first]
    back = distance_transform_edt(~first, sampling=spacing)[second]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _pair(target: MaskTarget, mask: bytes) -> tuple[np.ndarray, np.ndarray]:
    truth = target.truth
    height, width = truth.shape
    predicted = over_picture(mask, height, width, target.side).astype(np.int64)
    nothing = len(target.classes.names)
    return truth, np.where(truth == nothing, nothing, predicted)
