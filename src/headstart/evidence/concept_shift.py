"""Concept shift: do labels differ between two sets where inputs are the same? A test of label and set given the input.

A probe of both sets together predicts each example from the other folds. Where labels depend on the input alone, its
residuals r say nothing of the set. So, with s the set minus its share among examples with a like probability of it,

    statistic = sum_ij s_i s_j k(x_i, x_j) r_i . r_j / n

grows where residuals of one set lie on one side in some region and those of the other set on the other side: kernel
conditional independence (Zhang et al. 2011). The kernel is a Gaussian on principal components times 1 + q_i . q_j, with
q what the probe predicts, centred and scaled: labels that are turned round move residuals against the prediction. The
null distribution is that of the sets permuted among examples with a like probability of the set (Berrett et al. 2020,
"The conditional permutation test"), so that a mere change of the inputs does
not count.
"""

from __future__ import annotations

import numpy as np

from headstart.evidence.held_out_classes import held_out_classes
from headstart.evidence.missing_regions import DIMENSIONS, gaussian
from headstart.evidence.shift import PERMUTATIONS, centred, permuted
from headstart.kernel.randomness import draw_seed

STRATA = 20
"""Groups of examples with a like probability of the set."""


def labels_given_inputs(
    points: np.ndarray,
    classes: np.ndarray,
    other: np.ndarray,
    number: int,
    seed: int,
    *,
    at_one_mix: bool = False,
) -> tuple[float, float]:
    """Return the statistic, less its mean over permutations, and its p-value.

    Args:
        points: (examples, some) principal components of both sets. classes: (examples,) int in [0, number).
        other: (examples,) bool: of the second set.
        at_one_mix: allow for classes that are more frequent in one of the sets, as label shift makes them.
    """
    draws = np.random.default_rng(draw_seed(seed, "labels of an input"))
    sets = other.astype(np.int64)
    if at_one_mix:
        counts = np.stack([np.bincount(classes[sets == of], minlength=number) for of in (0, 1)])
        weights = 1 / counts[sets, classes]
        balanced, _ = held_out_classes(points, classes, number, seed, weights=weights / weights.mean())
        probabilities = balanced * (counts / counts.sum(axis=1, keepdims=True))[sets]
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    else:
        probabilities, _ = held_out_classes(points, classes, number, seed)
    of_set, _ = held_out_classes(points, sets, 2, seed)
    residuals = np.eye(number)[classes] - probabilities
    predicted = probabilities - probabilities.mean(axis=0)
    predicted /= max(float(np.sqrt((predicted**2).sum(axis=1).mean())), 1e-12)
    like = gaussian(points[:, :DIMENSIONS]) * (1 + predicted @ predicted.T) * (residuals @ residuals.T)
    np.fill_diagonal(like, 0)
    strata = np.array_split(np.argsort(of_set[:, 1], kind="stable"), STRATA)
    orders = [permuted(sets.astype(np.float64), strata, draws) for _ in range(PERMUTATIONS)]
    signs = centred(np.stack([sets.astype(np.float64), *orders], axis=1), strata)
    found = ((like @ signs) * signs).sum(axis=0) / len(points)
    p = (1 + int((found[1:] >= found[0]).sum())) / (1 + PERMUTATIONS)
    return float(found[0] - found[1:].mean()), p
