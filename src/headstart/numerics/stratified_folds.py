"""Folds in which every class has its share and no unit is cut."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

MANY, MOSTLY = 1_000, 0.9
"""From so many units, and units per example, a unit has the class of its first example and its size is left out."""


def stratified_folds(
    strata: np.ndarray, units: np.ndarray, count: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut examples into folds.

    Where a few of many examples are copies, units take turns as if each were one example: weighing every unit, as is
    done elsewhere, takes a second for 5,000.

    Args:
        strata: (examples,) int: classes.
        units: (examples,) int: examples of a number stay together.
        count: of folds, at least 2 and at most the examples of the largest class.
        seed: below 2**32.

    Returns:
        (examples of the others, examples held out) of each fold, both ascending.

    Raises:
        ValueError: more folds than the largest class has examples.
    """
    _, first, unit = np.unique(units, return_index=True, return_inverse=True)
    alone = len(first) == len(units)
    largest = int(np.unique(strata[first], return_counts=True)[1].max())
    with warnings.catch_warnings():  # a class smaller than the number of folds is in order here
        warnings.simplefilter("ignore", UserWarning)
        if alone or (len(first) >= max(MANY, MOSTLY * len(units)) and largest >= count):
            by_unit = StratifiedKFold(count, shuffle=True, random_state=seed).split(first, strata[first])
            held = [np.isin(unit, some) for _, some in by_unit]
            return [(np.flatnonzero(~some), np.flatnonzero(some)) for some in held]
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        return list(splitter.split(strata, strata, units))
