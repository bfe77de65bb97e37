"""The density of one domain over that of another, by a classifier that tells them apart.

Bickel, Brückner & Scheffer 2009 ("Discriminative learning under covariate shift"): with the examples of both domains
and d the probability of the target,

    p_t(x) / p_s(x) = (n_s / n_t) d(x) / (1 - d(x))

Each example's d comes from a logistic regression that has not seen it, on a few principal components and their squares,
so that it sees places and spreads: in all features the classifier is certain of every example, and a handful of the
source would count for all.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from headstart.kernel.randomness import draw_seed

FOLDS, PER_COMPONENT, BOUND = 5, 40, 20.0
"""Folds; examples of the smaller domain for each component; the largest ratio, and one over the smallest."""


def density_ratio(
    source: np.ndarray, target: np.ndarray, seed: int, *, components: int = 32, bound: float = BOUND
) -> np.ndarray:
    """Return the ratio at each source example, (source examples,), within [1 / bound, bound]; 1 where nothing tells.

    Args:
        source, target: (examples, width) finite features.
        seed: of the folds.
        components: principal components of both domains at most; of few examples fewer.
        bound: of a ratio.
    """
    folds = min(FOLDS, len(source), len(target))
    if folds < 2:
        return np.ones(len(source))
    both = np.concatenate([source, target]).astype(np.float64)
    number = min(components, min(len(source), len(target)) // PER_COMPONENT + 1)
    points = _principal(both, number)
    points = np.concatenate([points, np.square(points)], axis=1)
    domain = np.arange(len(both)) >= len(source)
    logits = np.empty(len(both))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=draw_seed(seed, "density ratio") % 2**32)
    for rest, held in splitter.split(points, domain):
        logits[held] = (
            LogisticRegression(C=1.0, tol=1e-6, max_iter=500)
            .fit(points[rest], domain[rest])
            .decision_function(points[held])
        )
    ratio = logits[: len(source)] + np.log(len(source) / len(target))
    return np.asarray(np.exp(np.clip(ratio, -np.log(bound), np.log(bound))))


def flattened(weights: np.ndarray, floor: float) -> np.ndarray:
    """Return weights (examples,) > 0 to the largest power up to 1 at which enough examples count, with mean 1.

    Args:
        weights: of examples.
        floor: share of the examples that the effective sample size (sum w)^2 / sum w^2 (Kish 1965) must reach, < 1.
    """
    power, least, most = 1.0, 0.0, 1.0
    for _ in range(20):
        powered = weights**power
        if powered.mean() ** 2 >= floor * np.square(powered).mean():
            least = power
        else:
            most = power
        power = (least + most) / 2 if most > least else least
    powered = weights**least
    return np.asarray(powered / powered.mean())


def _principal(features: np.ndarray, number: int) -> np.ndarray:
    """(examples, number at most) principal components with variance 1, constant ones left out."""
    centred = features - features.mean(axis=0)
    wide = centred.shape[1] > len(centred)
    values, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    values, vectors = values[::-1][:number], vectors[:, ::-1][:, :number]
    real = values > 1e-10 * max(values.max(initial=0.0), np.finfo(np.float64).tiny)
    scale = np.sqrt(len(features))
    found = vectors[:, real] * scale if wide else centred @ vectors[:, real] / np.sqrt(values[real]) * scale
    return found if found.shape[1] else np.zeros((len(features), 1))
