"""The shares of the classes in a set without labels, where only the mix of classes differs: BBSE and EM.

Lipton et al. 2018 ("Detecting and correcting for label shift with black box predictors") and Saerens et al. 2002
("Adjusting the outputs of a classifier to new a priori probabilities").
"""

from __future__ import annotations

import numpy as np

ROUNDS, TOLERANCE = 500, 1e-7


def bbse(confusion: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the share of each class in another set, (classes,).

    Args:
        confusion: (classes, classes) examples predicted i that are j, of labelled data that the predictor has not seen.
        predicted: (classes,) examples of the other set that are predicted i.
    """
    joint = confusion / confusion.sum()
    weights = np.linalg.lstsq(joint, predicted / predicted.sum(), rcond=1e-6)[0]
    found = np.clip(weights, 0, None) * joint.sum(axis=0)
    return np.asarray(found / found.sum() if found.sum() else joint.sum(axis=0))


def expectation_maximisation(
    probabilities: np.ndarray, prior: np.ndarray, start: np.ndarray | None = None, rounds: int = ROUNDS
) -> np.ndarray:
    """Return the share of each class in another set, (classes,), of greatest likelihood.

    Args:
        probabilities: (examples, classes) of the other set, calibrated on data whose shares are the `prior` (classes,).
        start: (classes,) shares of the first round; None for the prior. rounds: at most.
    """
    ratio = probabilities / np.maximum(prior, 1e-12)
    shares = prior if start is None else start
    for _ in range(rounds):
        before, posterior = shares, ratio * shares
        shares = (posterior / np.maximum(posterior.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
        if np.abs(shares - before).max() < TOLERANCE:
            break
    return np.asarray(shares)


def share_ratios(shares: np.ndarray, prior: np.ndarray, examples: int) -> np.ndarray:
    """Return shares over the prior, (classes,), none below what half an example comes to; 1 where the prior is 0.

    Args:
        shares: (classes,) of another set, of so many `examples`.
        prior: (classes,) of the labelled data.
    """
    least = np.maximum(shares, 0.5 / max(examples, 1))
    return np.where(prior > 0, least / np.maximum(prior, 1e-12), 1.0)
