"""Boxes of edges: their areas, and how far they overlap."""

from __future__ import annotations

import numpy as np


def areas(boxes: np.ndarray) -> np.ndarray:
    """(boxes,) of (boxes, 4), in square pixels; 0 where an edge lies behind its opposite."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1))


def overlaps(one: np.ndarray, other: np.ndarray, within: np.ndarray | None = None) -> np.ndarray:
    """Intersection over union (one, other) of boxes (one, 4) and (other, 4).

    Where `within` (other,) is true, as of crowds, it is the share of the first box that lies in the other.
    """
    first = np.maximum(one[:, None, :2], other[None, :, :2])
    last = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = (last - first).clip(min=0).prod(axis=2)
    own, others = areas(one)[:, None], areas(other)[None]
    either = own + others - both
    if within is not None:
        either = np.where(within[None], own, either)
    return np.asarray(both / np.maximum(either, np.finfo(float).tiny))
