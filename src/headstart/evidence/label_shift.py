"""Label shift: the mix of classes in a set without labels, and whether it is that of labelled data.

Where only the mix differs, and inputs of one class are distributed alike in both sets, it follows from predictions:

- black box shift estimation (BBSE, Lipton et al. 2018, "Detecting and correcting for label shift with black box
  predictors"): w = C^-1 m with C_ij = share of labelled examples predicted i that are j, m_i = share of the other set
  predicted i; negative weights become 0;
- expectation maximisation (EM, Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori
  probabilities"): q_j <- mean over the other set of p_j(x) q_j / pi_j, normalised, from q = pi on, with calibrated p.

The test is that of Lipton et al. and Rabanser et al. 2019 ("Failing loudly"): are predicted classes as frequent in one
set as in the other? Its p-value is that of the chi-squared statistic among tables with the same margins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headstart.numerics.class_mix import bbse, expectation_maximisation

RESAMPLES, RESAMPLE_ROUNDS, TABLES = 200, 30, 999
LEVEL = 0.95


class Mix(NamedTuple):
    """Estimated share of each class in a set, each (classes,)."""

    shares: np.ndarray
    low: np.ndarray
    """Ends of a 95 % interval, by bootstrap over both sets."""
    high: np.ndarray


def estimated_mix(
    known: np.ndarray, classes: np.ndarray, probabilities: np.ndarray, draws: np.random.Generator
) -> tuple[Mix, np.ndarray]:
    """Return the mix of classes of another set by EM, with its interval, and by BBSE, (classes,).

    Args:
        known: (examples, classes) held-out calibrated probabilities of labelled examples.
        classes: (examples,) int, theirs.
        probabilities: (others, classes) of the other set.
    """
    number = known.shape[1]
    shares = expectation_maximisation(probabilities, np.bincount(classes, minlength=number) / len(classes))
    drawn = []
    for _ in range(RESAMPLES):
        mine, theirs = (
            draws.integers(len(classes), size=len(classes)),
            draws.integers(len(probabilities), size=len(probabilities)),
        )
        prior = np.bincount(classes[mine], minlength=number) / len(classes)
        drawn.append(expectation_maximisation(probabilities[theirs], prior, shares, RESAMPLE_ROUNDS))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    confusion = np.zeros((number, number))
    np.add.at(confusion, (known.argmax(axis=1), classes), 1)
    counts = np.bincount(probabilities.argmax(axis=1), minlength=number)
    return Mix(shares, low, high), bbse(confusion, counts)


def same_frequencies(one: np.ndarray, other: np.ndarray, draws: np.random.Generator) -> tuple[float, float]:
    """Return Cramer's V of two sets of counts (classes,), in [0, 1], and the p-value that they are of one mix."""
    total = one + other
    margin = total[total > 0]
    tables = draws.multivariate_hypergeometric(margin, int(other.sum()), TABLES)
    observed = _chi_squared(other[total > 0], margin)
    p = (1 + int((_chi_squared(tables, margin) >= observed - 1e-9).sum())) / (1 + TABLES)
    return float(np.sqrt(observed / total.sum())), p


def _chi_squared(counts: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """(...,) statistic of tables whose second row is `counts` (..., classes) and whose column sums are `margin`."""
    share = counts.sum(axis=-1, keepdims=True) / margin.sum()
    expected = margin * share
    return np.asarray(((counts - expected) ** 2 / (expected * (1 - share))).sum(axis=-1))
