"""Differences between two methods on the same examples, cases or draws, with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

RESAMPLES = 2000


def paired_interval(one: str, other: str) -> tuple[float, float, float]:
    """Difference, low and high end of its 95 % bootstrap interval, paired by example.

    Args:
        one, other: for each example whether it was right, as a text of 0 and 1.
    """
    return mean_interval([int(a) - int(b) for a, b in zip(one, other, strict=True)])


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, low and high end of its 95 % bootstrap interval."""
    given = np.array(values, dtype=float)
    draws = np.random.default_rng(0).integers(len(given), size=(RESAMPLES, len(given)))
    low, high = np.quantile(given[draws].mean(axis=1), (0.025, 0.975))
    return float(given.mean()), float(low), float(high)


def interval_over_draws(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of (draws,) differences and the ends of its 95 % interval, by Student's distribution: draws are few."""
    mean, count = float(differences.mean()), len(differences)
    half = float(student.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half
