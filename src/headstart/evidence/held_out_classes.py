"""Held-out probabilities of classes from features: logistic regression on principal components, cross-fitted."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from headstart.evidence.folds import folds
from headstart.numerics.calibration import fit_temperature

COMPONENTS = 50
"""Principal components that a probe reads at most; a probe that is fitted many times must be quick."""

FOLDS, STRENGTH = 5, 0.1
LEAST = 1e-6
"""Probability of a class at least, also of one that a fold's training examples lack."""


def held_out_classes(
    features: np.ndarray,
    classes: np.ndarray,
    number: int,
    seed: int,
    others: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return calibrated probabilities (examples, number), each by a model without the example, and those of `others`.

    Args:
        features: (examples, width), such as principal components. classes: (examples,) int in [0, number).
        seed: of the folds.
        others: (others, width); each is predicted by the model of one fold, so that its probabilities are distributed
            as those of the examples are. None for none.
        weights: (examples,) of the likelihood, 1 in the mean; None for 1 each.
    """
    weights = np.ones(len(features)) if weights is None else weights
    more = np.empty((0, features.shape[1])) if others is None else others
    logits, theirs = np.empty((len(features), number)), np.empty((len(more), number))
    cut = folds(np.arange(len(features)), classes, None, min(FOLDS, len(features)), seed)
    for place, fold in enumerate(cut):
        asked = np.arange(place, len(more), len(cut))
        both = np.concatenate([features[fold.held], more[asked]])
        found = _logits(features[fold.rest], classes[fold.rest], weights[fold.rest], both, number)
        logits[fold.held], theirs[asked] = found[: len(fold.held)], found[len(fold.held) :]
    temperature = fit_temperature(logits, classes, weights)
    mine, more = (np.clip(softmax(some / temperature, axis=1), LEAST, 1) for some in (logits, theirs))
    return mine, more


def _logits(known: np.ndarray, classes: np.ndarray, weights: np.ndarray, asked: np.ndarray, number: int) -> np.ndarray:
    """(asked, number) log probabilities."""
    found = np.full((len(asked), number), np.log(LEAST))
    seen = np.unique(classes)
    if len(seen) == 1:
        found[:, seen] = 0
    else:
        with warnings.catch_warnings():  # scikit-learn takes many classes for numbers
            warnings.simplefilter("ignore", UserWarning)
            fitted = LogisticRegression(C=STRENGTH, max_iter=200).fit(known, classes, weights)
        found[:, seen] = fitted.predict_log_proba(asked)
    return found
