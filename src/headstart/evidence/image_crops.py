"""Copies of images that were mirrored, turned by quarters or cropped by a few per cent, saved again or resized as well.

1. Candidates: the low frequencies c(u, v) of a thumbnail's cosine transform. Mirroring changes signs, a quarter turn
   exchanges columns and rows; |c(u, v)| + |c(v, u)| and their absolute difference are the same in all orientations.
   Each image is looked up by 17 windows, which leave out 5 % at some of its sides or 2.5 % at all, and has the
   nearest few images of each as candidates. A k-d tree finds them without comparing all pairs.
2. Alignment: the orientation with the highest correlation, then a few Gauss-Newton steps on the four sides of the
   window (Lucas & Kanade, "An iterative image registration technique", 1981), by cubic interpolation.
3. Decision: the correlation of the aligned thumbnails and, above all, that of their middle frequencies. It is about
   0.99 or more for copies, and less for pictures that merely look alike, such as digits of a class or slices of a
   scan.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.fft import dct
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from headstart.evidence.image_fingerprints import SIDE
from headstart.evidence.image_likeness import CONTRAST, FLAT, contrast

CUT = 0.05
"""What the windows by which candidates are found leave out at a side, as a share of width or height."""
MOST_CUT = 0.1
"""What a copy may lack at a side at most."""
LEAST_DETAIL = 0.988
"""Least correlation of two copies' middle frequencies."""
LEAST_CORRELATION = 0.93
"""Least correlation of two copies' thumbnails."""
MOST_CELL = 20.0
"""Greatest difference of a cell between copies' middle frequencies at a contrast of 50 grey levels: no object moved."""

_NEAREST = 3
"""Candidates for each window at most."""
_RADIUS = 0.09
"""Greatest distance of a candidate's low frequencies, whose norm is 1."""
_FREQUENCIES = 6
"""Cosines of which u + v is below this are compared."""
_PROMISING = (0.7, 0.5)
"""Correlations, of thumbnails and of their middle frequencies, from which on two images are aligned."""
_LEAST_SPREAD = 2.0
"""Standard deviation of middle frequencies at that contrast below which there is nothing to decide by."""
_STEPS = 4
_CHUNK = 2048

_WINDOWS = CUT * np.array([*product((0.0, 1.0), repeat=4), (0.5, 0.5, 0.5, 0.5)])
"""(windows, 4): what each leaves out at the left, the right, the top and the bottom; the first is the whole."""


class _Aligned(NamedTuple):
    """Agreement between windows of some images and others, turned to fit."""

    whole: np.ndarray
    detail: np.ndarray
    cell: np.ndarray
    spread: np.ndarray

    def promising(self) -> np.ndarray:
        return (self.whole >= _PROMISING[0]) & (self.detail >= _PROMISING[1])

    def copies(self) -> np.ndarray:
        alike = (self.whole >= LEAST_CORRELATION) & (self.detail >= LEAST_DETAIL)
        return np.asarray(alike & (self.cell <= MOST_CELL) & (self.spread >= _LEAST_SPREAD))


def cropped_images(pixels: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of copies.

    Args:
        pixels: (images, SIDE, SIDE) uint8 thumbnails, each of another content.

    Returns:
        Pairs of indices, the smaller first, sorted.
    """
    shaped = np.flatnonzero(contrast(pixels) >= FLAT)
    pixels = pixels[shaped]
    if len(pixels) < 2:
        return []
    ones, others, windows = _candidates(pixels.reshape(len(pixels), -1))
    found: set[tuple[int, int]] = set()
    for start in range(0, len(ones), _CHUNK):
        some = slice(start, start + _CHUNK)
        one, other, window = ones[some], others[some], _WINDOWS[windows[some]]
        same = _are_copies(_standard(pixels[one]), _standard(pixels[other]), window)
        pairs = zip(shaped[one[same]].tolist(), shaped[other[same]].tolist())
        found.update((min(pair), max(pair)) for pair in pairs)
    return sorted(found)


def _candidates(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(pairs,) indices of images, of others, and of the window of the former that is nearest to the latter."""
    whole = _descriptors(pixels, 0)
    tree = cKDTree(whole)
    found = []
    for window in range(len(_WINDOWS)):
        asked = whole if window == 0 else _descriptors(pixels, window)
        distance, other = tree.query(asked, k=_NEAREST + (window == 0), distance_upper_bound=_RADIUS)
        one, place = np.nonzero(np.isfinite(distance))
        pairs = np.stack([one, other[one, place], np.full(len(one), window)])
        found.append((pairs[:, pairs[0] != pairs[1]], distance[one, place][pairs[0] != pairs[1]]))
    pairs = np.concatenate([some for some, _ in found], axis=1)
    nearest = np.argsort(np.concatenate([some for _, some in found]), kind="stable")
    pairs = pairs[:, nearest]
    _, first = np.unique(pairs[0] * len(pixels) + pairs[1], return_index=True)
    ones, others, windows = pairs[:, first]
    return ones, others, windows


def _descriptors(pixels: np.ndarray, window: int) -> np.ndarray:
    """(images, frequencies) of a window of each image (images, SIDE * SIDE), the same for all eight orientations."""
    cosines = dct(np.eye(SIDE), axis=0, norm="ortho")[:_FREQUENCIES]
    left, right, top, bottom = _WINDOWS[window][:, None]
    down, across = cosines @ _sampling(top, bottom)[0], cosines @ _sampling(left, right)[0]
    first, second = np.array(
        [(u, v) for u in range(_FREQUENCIES) for v in range(u, _FREQUENCIES) if 0 < u + v < _FREQUENCIES]
    ).T
    transform = np.einsum("uy,vx->uvyx", down, across).reshape(_FREQUENCIES, _FREQUENCIES, -1)
    forth, back = (transform[u, v].T.astype(np.float32) for u, v in ((first, second), (second, first)))
    found = np.empty((len(pixels), 2 * len(first)), np.float32)
    for start in range(0, len(pixels), _CHUNK):
        some = pixels[start : start + _CHUNK].astype(np.float32)
        one, other = np.abs(some @ forth), np.abs(some @ back)
        found[start : start + _CHUNK] = np.concatenate([one + other, np.abs(one - other)], axis=1)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)


def _sampling(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(images, SIDE, SIDE) weights that stretch an axis, without what is left out before and after, to the whole again.

    Cubic convolution (Keys 1981); `before` and `after` (images,) are shares of the axis.
    """
    centres = (np.arange(SIDE) + 0.5) / SIDE
    place = np.clip((before[:, None] + (1 - before - after)[:, None] * centres) * SIDE - 0.5, 0, SIDE - 1)
    away = np.abs(place[:, :, None] - np.arange(SIDE))
    near, far = (1.5 * away - 2.5) * away**2 + 1, ((2.5 - 0.5 * away) * away - 4) * away + 2
    weights = np.where(away < 1, near, np.where(away < 2, far, 0.0))
    return (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)


def _are_copies(one: np.ndarray, other: np.ndarray, window: np.ndarray) -> np.ndarray:
    """(pairs,) whether windows of `one`, near those given, are `other` in one of its orientations."""
    shown = _shown(one, window)
    turned = _turned(shown, other)
    before = _aligned(shown, turned)
    same = before.copies()
    doubtful = np.flatnonzero(before.promising() & ~same)
    if len(doubtful):
        one, turned, window = one[doubtful], turned[doubtful], window[doubtful]
        for _ in range(_STEPS):
            window = _nearer(one, turned, window)
        same[doubtful] = _aligned(_shown(one, window), turned).copies()
    return same


def _shown(pixels: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The windows (pairs, 4) of images (pairs, SIDE, SIDE), at their size and with one mean and contrast."""
    left, right, top, bottom = window.T
    return _standard(_sampling(top, bottom) @ pixels @ _sampling(left, right).transpose(0, 2, 1))


def _standard(pixels: np.ndarray) -> np.ndarray:
    """With a mean of 0 and a standard deviation of 1."""
    centred = pixels.astype(np.float32) - pixels.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    return np.asarray(centred / np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-3))


def _turned(shown: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Each of `other` in that of its eight orientations which is most like `shown`."""
    flat = shown.reshape(len(shown), -1)
    best, found = np.full(len(other), -np.inf), other.copy()
    for plain in (other, other.transpose(0, 2, 1)):
        for turned in (plain, plain[:, ::-1], plain[:, :, ::-1], plain[:, ::-1, ::-1]):
            likeness = np.einsum("ij,ij->i", flat, turned.reshape(len(other), -1))
            better = likeness > best
            best[better], found[better] = likeness[better], turned[better]
    return found


def _nearer(one: np.ndarray, turned: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The windows after a step of Gauss-Newton towards what `turned` shows."""
    shown = _shown(one, window)
    down, across = np.gradient(shown, 1 / SIDE, axis=(1, 2))
    centres = ((np.arange(SIDE) + 0.5) / SIDE).astype(np.float32)
    width, height = (1 - window[:, 0] - window[:, 1])[:, None, None], (1 - window[:, 2] - window[:, 3])[:, None, None]
    across, down = across / width, down / height
    slopes = [across * (1 - centres), -across * centres, down * (1 - centres)[:, None], -down * centres[:, None]]
    jacobian = np.stack([slope.reshape(len(one), -1) for slope in slopes], axis=2)
    missing = (turned - shown).reshape(len(one), -1, 1)
    transposed = jacobian.transpose(0, 2, 1)
    normal = transposed @ jacobian
    ridge = 1e-3 * (1 + np.trace(normal, axis1=1, axis2=2))
    step = np.linalg.solve(normal + ridge[:, None, None] * np.eye(4), transposed @ missing)[:, :, 0]
    return np.clip(window + step, 0.0, MOST_CUT)


def _aligned(one: np.ndarray, other: np.ndarray) -> _Aligned:
    """Return how well standardised images agree; their outermost cells are left out, for a crop shows other ones."""
    fine, fine_other = (some.reshape(len(some), -1) @ _MIDDLE for some in (one, other))
    inner = [some[:, 1:-1, 1:-1].reshape(len(some), -1) for some in (one, other)]
    cell = CONTRAST * np.abs(fine - fine_other).max(axis=1)
    return _Aligned(_correlation(*inner), _correlation(fine, fine_other), cell, CONTRAST * fine_other.std(axis=1))


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = (some - some.mean(axis=1, keepdims=True) for some in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray(np.einsum("ij,ij->i", one, other) / np.maximum(norms, 1e-6))


def _middle() -> np.ndarray:
    """(SIDE * SIDE, inner cells): what Gaussian filters of 0.8 and 2 cells leave between them, but at the border."""
    fine, coarse = (gaussian_filter1d(np.eye(SIDE), width, axis=0) for width in (0.8, 2.0))
    found = np.einsum("ya,xb->yxab", fine, fine) - np.einsum("ya,xb->yxab", coarse, coarse)
    return found[1:-1, 1:-1].reshape(-1, SIDE * SIDE).T.astype(np.float32)


_MIDDLE = _middle()
