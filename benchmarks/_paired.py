"""Differences between two methods on the same examples, cases or draws, with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student

RESAMPLES, LEVEL = 2000, 0.05


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


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Two-sided p-value of McNemar's exact test on two methods that are right, or not, on each example (bool)."""
    won, lost = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binomtest(min(won, lost), won + lost, 0.5).pvalue) if won + lost else 1.0


def significantly_worse(p: Sequence[float], gains: Sequence[float]) -> list[int]:
    """Cases in which the difference is below 0 for certain, after Holm's correction of p-values over all cases."""
    worse = []
    for rank, place in enumerate(np.argsort(p, kind="stable").tolist()):
        if p[place] * (len(p) - rank) > LEVEL:
            break
        if gains[place] < 0:
            worse.append(place)
    return worse
