"""Split conformal prediction: the radius within which the truth of a new example lies with a given chance.

The scores say how badly the truth fits the prediction, on n examples that nothing was learnt from. The radius is the
ceil((n + 1) coverage)-th smallest of them (Vovk, Gammerman & Shafer 2005; Lei, G'Sell, Rinaldo, Tibshirani & Wasserman
2018): whatever the model, the score of a new example of the same kind is at most that with at least this chance. Where
examples come in groups these are what is exchangeable: each of G groups has the mass 1 / (G + 1), shared by its
examples, and the rest lies at infinity (Lee, Barber & Willett 2023, "Distribution-free inference with hierarchical
data"), so that the chance holds for an example of a new group.
"""

from __future__ import annotations

import math

import numpy as np

ROUNDING = 1e-9


def radius(scores: np.ndarray, coverage: float, groups: np.ndarray | None = None) -> float:
    """The radius of a coverage.

    Args:
        scores: (examples,) the greater, the worse the truth fits.
        coverage: in (0, 1).
        groups: (examples,) int; None for single examples.

    Returns:
        The radius; infinite where there are too few examples or groups for such a coverage.
    """
    groups = np.arange(len(scores)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(groups)
    mass = 1 / (sizes[groups] * (len(sizes) + 1))
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(mass[order]) >= coverage - ROUNDING
    return float(scores[order][np.argmax(reached)]) if reached.any() else math.inf


def fewest(coverage: float) -> int:
    """Return the least number of examples, or groups, for a coverage."""
    return math.ceil(coverage / (1 - coverage) - ROUNDING)
