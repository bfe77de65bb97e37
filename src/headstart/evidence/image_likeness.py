"""Near-duplicate images: the same picture saved again, at another size, quality or brightness.

Candidates differ in at most 3 of 64 difference-hash bits; such a pair has three of six runs of bits in common, so only
pairs that share three runs are looked at. Thumbnails then decide, scaled to one mean and contrast: the hash alone would
melt small digits, or neighbouring slices of one scan, into one. Pictures almost without contrast are never near
duplicates. Copies that were mirrored, turned or cropped are found by `image_crops`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from headstart.evidence.image_fingerprints import SIDE

MOST_BITS = 3
"""Difference-hash bits in which two near duplicates may differ, of 64."""
CONTRAST = 50.0
"""Standard deviation, in grey levels of 255, to which thumbnails are scaled before they are compared."""
MOST_MEAN = 2.0
"""Greatest mean absolute difference of two near duplicates' scaled thumbnails, in grey levels."""
MOST_CELL = 30.0
"""Greatest difference of any one cell of them, in grey levels: a small object that moved is another picture."""
FLAT = 4.0
"""Images whose thumbnail varies less than this (standard deviation in grey levels) have nothing to be compared by."""

_LEAST_SCALED = 16.0
"""Contrast below which a thumbnail is not stretched further, as that would stretch noise."""
_BLOCKS = np.array([0x7FF << start for start in (0, 11, 22, 33)] + [0x3FF << start for start in (44, 54)], np.uint64)
"""The six runs, as masks."""
_CHUNK = 4096
_ONES = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)


def near_images(records: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of near duplicates.

    Args:
        records: (images,) of `image_fingerprints.RECORD`, each of another content.

    Returns:
        Pairs of indices, the smaller first, sorted.
    """
    pixels = records["pixels"].reshape(-1, SIDE * SIDE)
    spread = contrast(records["pixels"])
    shaped = np.flatnonzero(spread >= FLAT)
    found: list[tuple[int, int]] = []
    for one, other in _candidates(records["bits"][shaped]):
        left, right = shaped[one], shaped[other]
        same = _alike(_scaled(pixels[left], spread[left]), _scaled(pixels[right], spread[right]))
        found.extend((min(a, b), max(a, b)) for a, b in zip(left[same].tolist(), right[same].tolist()))
    return sorted(found)


def contrast(pixels: np.ndarray) -> np.ndarray:
    """(images,) standard deviation of thumbnails (images, SIDE, SIDE), in grey levels."""
    found = np.zeros(len(pixels))
    for start in range(0, len(pixels), _CHUNK):
        found[start : start + _CHUNK] = pixels[start : start + _CHUNK].std(axis=(1, 2))
    return found


def _candidates(bits: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Chunks of index pairs within `MOST_BITS`, each pair once."""
    for chosen in combinations(range(len(_BLOCKS)), len(_BLOCKS) - MOST_BITS):
        before = [_BLOCKS[block] for block in range(chosen[-1]) if block not in chosen]
        part = bits & np.bitwise_or.reduce(_BLOCKS[list(chosen)])
        order = np.argsort(part, kind="stable")
        value = part[order]
        position, distance = np.arange(len(order)), 0
        while len(position):
            distance += 1
            position = position[position + distance < len(order)]
            position = position[value[position] == value[position + distance]]
            one, other = order[position], order[position + distance]
            differing = bits[one] ^ bits[other]
            close = _ONES[differing.view(np.uint16).reshape(-1, 4)].sum(axis=1) <= MOST_BITS
            for block in before:  # where one of these agrees too, the pair comes up with it
                close &= (differing & block) != 0
            one, other = one[close], other[close]
            for start in range(0, len(one), _CHUNK):
                yield one[start : start + _CHUNK], other[start : start + _CHUNK]


def _scaled(pixels: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    centred = pixels.astype(np.float32) - pixels.mean(axis=1, keepdims=True, dtype=np.float32)
    scale = CONTRAST / np.maximum(contrast, _LEAST_SCALED)
    return centred * scale[:, None].astype(np.float32)


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    difference = np.abs(one - other)
    return (difference.mean(axis=1) <= MOST_MEAN) & (difference.max(axis=1) <= MOST_CELL)
