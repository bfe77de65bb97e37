"""Overlap of predicted and true masks: pixels of each true and predicted class, and the distance of their borders.

Dice = 2 |A and B| / (|A| + |B|) (Dice 1945), IoU = |A and B| / |A or B| (Jaccard 1912), for each class of each picture.
A class that neither mask of a picture has is undefined there and counts in no mean; one that only one mask has scores
0.

The Hausdorff distance is taken between the borders of A and B, pixels with a neighbour outside (the picture's edge
counts as outside), at the 95th percentile: the greater of the percentiles of the distances from A's border to B's and
back, as MONAI has it (`compute_hausdorff_distance`, percentile=95). Where one of the masks lacks the class it is the
picture's diagonal, where both do it is undefined.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion, distance_transform_edt

from headstart.media.framing import Whole
from headstart.tasks.segmentation.mask_target import MaskTarget

KEPT = 16
"""Comparisons of a picture that are kept as long as its target: every metric, slice and exhibit asks for them."""

_kept: WeakKeyDictionary[MaskTarget, dict[tuple[object, ...], np.ndarray]] = WeakKeyDictionary()


def decoded(mask: bytes) -> np.ndarray:
    """A predicted mask as class numbers (height, width) uint8."""
    with Image.open(io.BytesIO(mask)) as image:
        return np.array(image)


def over_picture(mask: bytes, height: int, width: int, side: int) -> np.ndarray:
    """A predicted mask as it lies over its picture, (height, width) uint8: framed (side, side), or so already."""
    values = decoded(mask)
    return values if values.shape == (height, width) else Whole(side).undone(values, height, width)


def confusion(target: MaskTarget, mask: bytes) -> np.ndarray:
    """Pixels of each true (rows) and predicted (columns) class, (classes, classes) int64."""
    truth, predicted = _pair(target, mask)
    classes = len(target.classes.names)
    known = truth < classes
    codes = truth[known] * classes + predicted[known]
    return np.bincount(codes, minlength=classes * classes).reshape(classes, classes)


def counts(target: MaskTarget, mask: bytes) -> np.ndarray:
    """Pixels of each class that are right, true and predicted, (3, classes) int64."""

    def count() -> np.ndarray:
        table = confusion(target, mask)
        return np.stack([np.diagonal(table), table.sum(axis=1), table.sum(axis=0)])

    return _once(target, mask, ("counts",), count)


def distances(target: MaskTarget, mask: bytes, shown: Sequence[int], in_mm: bool) -> np.ndarray:
    """The 95th-percentile Hausdorff distances of the classes that are shown, in mm or pixels.

    Returns:
        (classes,) float64; NaN where a class or the spacing is undefined, and for classes that are not shown.
    """

    def measure() -> np.ndarray:
        found = np.full(len(target.classes.names), math.nan)
        spacing = target.spacing if in_mm else (1.0, 1.0)
        if spacing is not None:
            truth, predicted = _pair(target, mask)
            found[list(shown)] = [hausdorff95(truth == k, predicted == k, spacing) for k in shown]
        return found

    return _once(target, mask, ("distances", in_mm, *shown), measure)


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


def _once(target: MaskTarget, mask: bytes, asked: tuple[object, ...], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return what is asked of a picture, computed when it is first asked for."""
    known = _kept.setdefault(target, {})
    key = (hashlib.blake2b(mask, digest_size=16).digest(), *asked)
    if key not in known:
        while len(known) >= KEPT:
            del known[next(iter(known))]
        known[key] = compute()
    return known[key]
