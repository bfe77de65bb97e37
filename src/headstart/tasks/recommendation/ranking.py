"""Figures of ranked lists over the full catalogue, one value per user.

Recall@k = hits among the first k / relevant items; nDCG@k = sum of 1 / log2(place + 1) over the hits, by that of the
best possible list (Jarvelin and Kekalainen, 2002); the reciprocal rank is 1 / place of the first hit, 0 without one.

Sampled figures rank each relevant item among a few negatives alone, as many papers do. They are no estimate of those of
the catalogue and may order methods otherwise (Krichene and Rendle, "On Sampled Metrics for Item Recommendation", KDD
2020).
"""

from __future__ import annotations

import numpy as np


def hits_of(listed: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Return whether each listed item is relevant, (users, places) bool.

    Args:
        listed: (users, places) item numbers, best first; negative ones are empty places.
        relevant: (users,) of (items,) numbers.
    """
    wanted = [np.asarray(items, np.int64) for items in relevant]
    rows = np.repeat(np.arange(len(wanted)), [len(items) for items in wanted])
    items = np.concatenate([*wanted, np.empty(0, np.int64)])
    span = 1 + max(int(listed.max(initial=0)), int(items.max(initial=0)))
    pairs = np.arange(len(listed))[:, None] * span + listed
    return np.isin(pairs, rows * span + items) & (listed >= 0)


def recall(hits: np.ndarray, counts: np.ndarray, k: int) -> np.ndarray:
    """Return (users,) in [0, 1]; NaN for a user without relevant items, of which `counts` has the numbers."""
    return np.where(counts > 0, hits[:, :k].sum(axis=1) / np.maximum(counts, 1), np.nan)


def ndcg(hits: np.ndarray, counts: np.ndarray, k: int) -> np.ndarray:
    """Return (users,) in [0, 1]; NaN for a user without relevant items."""
    gains = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[1.0], np.cumsum(gains)])[np.minimum(counts, k)]
    return np.where(counts > 0, hits[:, :k] @ gains[: hits[:, :k].shape[1]] / best, np.nan)


def sampled_places(listed: np.ndarray, relevant: np.ndarray) -> list[np.ndarray]:
    """Return for each user the places (relevant items,) of these, from 1 on, each among the negatives alone.

    Args:
        listed: (users,) of (candidates,) item numbers, relevant ones and negatives, best first.
        relevant: (users,) of (items,) numbers.
    """
    found = []
    for order, items in zip(listed, relevant):
        hits = np.isin(order, items)
        found.append(1 + np.cumsum(~hits)[hits])
    return found


def reciprocal_rank(hits: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return (users,) in [0, 1], 0 where no place of the list is a hit; NaN for a user without relevant items."""
    first = np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)
    return np.where(counts > 0, first, np.nan)
