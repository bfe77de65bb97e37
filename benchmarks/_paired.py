"""The difference in accuracy of two methods on the same examples."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000


def paired_interval(one: str, other: str) -> tuple[float, float, float]:
    """Difference, low and high end of its 95 % bootstrap interval, paired by example.

    Args:
        one, other: for each example whether it was right, as a text of 0 and 1.
    """
    differences = np.array([int(a) - int(b) for a, b in zip(one, other, strict=True)], dtype=float)
    draws = np.random.default_rng(0).integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), (0.025, 0.975))
    return float(differences.mean()), float(low), float(high)
