"""The spread of a target along the directions that tell the source's classes apart: is it related to the source at all?

With each domain's features standardised by its own mean and variance, V the directions that the means of the source's
classes span, and var the variance along them, summed:

    var(target V) / var(source V)

About 1 where the target has the same classes, lower the more they blur into one another there, and hardly anything
where the target is about something else: heads adapted to it then agree on nonsense. Heads do not enter, so that it is
evidence of its own beside their agreement.
"""

from __future__ import annotations

import numpy as np

from headstart.numerics.standardisation import standardise


def class_spread(source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> float:
    """Return the ratio, >= 0; NaN where the source has no two classes, or a domain no two examples.

    Args:
        source: (examples, width) with classes `labels` (examples,). target: (examples, width).
    """
    classes = np.unique(labels)
    if len(classes) < 2 or len(target) < 2:
        return float("nan")
    mine, theirs = (standardise(side, each=True)[0].astype(np.float64) for side in (source, target))
    means = np.stack([mine[labels == k].mean(axis=0) for k in classes])
    directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)[2][: len(classes) - 1]
    before, after = (float((side @ directions.T).var(axis=0).sum()) for side in (mine, theirs))
    return after / before if before > 0 else float("nan")
