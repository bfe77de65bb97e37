"""H-score: how far classes lie apart beside how far features spread, tr(cov(f)^-1 cov(E[f | y])) (Bao et al. 2019).

With more features than examples the covariance cannot be inverted. Ibrahim et al. 2022 ("Newer is not always better:
rethinking transferability metrics, their peculiarities, stability and performance") take the covariance of Ledoit and
Wolf (2004), which shrinks by alpha towards a multiple of the identity, and shrink that between classes alike:

    tr(cov_alpha(f)^-1 (1 - alpha) cov(E[f | y])).
"""

from __future__ import annotations

import numpy as np

from headstart.contracts.score import LabelledFeatures, Score
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import Sampled, one_class_each

SINGULAR = 1e-8
"""Shrinkage up to which a covariance may lack an inverse."""


class HScore(Score):
    """Spread of class means beside that of features."""

    title = "H-score"

    @classmethod
    def suits(cls, task: BoundTask) -> bool:
        """Where each example, token or pixel has one class."""
        return one_class_each(task) or isinstance(task, Sampled)

    def score(self, data: LabelledFeatures) -> float:
        """Return the score: 0 where class means are equal, at most the number of classes less one."""
        features = data.features.astype(np.float64)
        features -= features.mean(axis=0)
        if not features.any():
            return 0.0
        covariance, shrinkage = _ledoit_wolf(features)
        _, number, counts = np.unique(data.targets["label"], return_inverse=True, return_counts=True)
        means = np.zeros((len(counts), features.shape[1]))
        np.add.at(means, number, features)
        means /= np.sqrt(counts[:, None] * len(features))  # the square of each counts as often as its class
        inverse = np.linalg.solve if shrinkage > SINGULAR else _least_squares
        return float((1 - shrinkage) * np.einsum("cw,wc->", means, inverse(covariance, means.T)))


def _ledoit_wolf(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the shrunk covariance (width, width) of centred features, and by how much it is shrunk.

    As `sklearn.covariance.ledoit_wolf`, with one product of matrices in place of three: the sum over the product of
    squared features with themselves is that of the squared lengths of examples, squared.
    """
    examples, width = features.shape
    covariance = features.T @ features / examples
    level, squares = np.trace(covariance) / width, np.square(covariance).sum()
    apart = max(float(squares) - width * level**2, 0.0)
    noise = (np.square(np.square(features).sum(axis=1)).sum() / examples - squares) / examples
    shrinkage = float(min(noise, apart) / apart) if apart and noise > 0 else 0.0
    covariance *= 1 - shrinkage
    covariance.flat[:: width + 1] += shrinkage * level
    return covariance, shrinkage


def _least_squares(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a symmetric system that may be singular."""
    return np.linalg.pinv(matrix, hermitian=True) @ right
