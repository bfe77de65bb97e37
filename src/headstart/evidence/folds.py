"""Folds of labelled rows: stratified, and no group or set of copies is cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.numerics.stratified_folds import stratified_folds


class Fold(NamedTuple):
    """One of several parts of the rows, and all others; both ascending."""

    rest: np.ndarray
    held: np.ndarray


def folds(rows: np.ndarray, strata: np.ndarray, units: np.ndarray | None, count: int, seed: int) -> list[Fold]:
    """Cut `rows` into `count` >= 2 folds.

    Args:
        rows: (some,) int.
        strata: (all,) int: what is kept in proportion.
        units: (all,) int: rows of a number stay together; None where each is by itself.
        count: at most the number of units; fewer folds where no stratum has as many rows.
        seed: decides who is in which fold.

    Raises:
        DataError: no stratum has two rows.
    """
    count = min(count, int(np.unique(strata[rows], return_counts=True)[1].max()))
    if count < 2:
        raise DataError(f"{len(rows)} labelled examples, no two of a class, are too few to hold some out")
    together = np.arange(len(strata)) if units is None else units
    cut = stratified_folds(strata[rows], together[rows], count, draw_seed(seed, "folds of labelled rows") % 2**32)
    return [Fold(np.sort(rows[rest]), np.sort(rows[held])) for rest, held in cut]
