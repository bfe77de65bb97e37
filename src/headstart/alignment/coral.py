"""CORAL: source features get the covariance and the mean of the target's; target features stay as they are.

Sun, Feng & Saenko 2016 ("Return of frustratingly easy domain adaptation"):

    z_s = (x_s - mean_s) C_s^-1/2 C_t^1/2 + mean_t

The paper adds the identity to covariances; here they are shrunk as far as the examples ask (Chen et al. 2010,
"Shrinkage algorithms for MMSE covariance estimation", which unlike Ledoit & Wolf's rule also holds for a handful of
examples), C_s towards a multiple of the identity and C_t towards a multiple of C_s: a small target moves and scales the
source, and does not whiten it. The paper centres each domain beforehand, which the means do here.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts.alignment import Aligned, Alignment
from headstart.contracts.domains import Domains
from headstart.kernel.errors import DataError

TINY = 1e-9
"""Share of the largest eigenvalue below which a direction is constant and stays so."""


class Coral(Alignment):
    """Covariance and mean of the target."""

    title = "CORAL"
    kinds = ("covariate", "concept", "cannot tell")

    def align(self, domains: Domains, seed: int) -> Aligned:  # noqa: ARG002
        """Recolour the source; the width stays. Raises DataError for a target of one example."""
        if len(domains.target) < 2:
            raise DataError(f"CORAL needs a covariance of the target, which has {len(domains.target)} example")
        source, target = domains.source.astype(np.float64), domains.target.astype(np.float64)
        mean, theirs = source.mean(axis=0), target.mean(axis=0)
        source, target = source - mean, target - theirs
        share, size = _shrinkage(source)
        own = (1 - share) * source.T @ source / len(source)
        own[np.diag_indices_from(own)] += share * size
        whiten = _power(own, -0.5)
        share, size = _shrinkage(target @ whiten)
        matrix = whiten @ _power((1 - share) * target.T @ target / len(target) + share * size * own, 0.5)

        def move(features: np.ndarray) -> np.ndarray:
            return np.asarray(((features - mean) @ matrix + theirs).astype(np.float32))

        return Aligned(move(domains.source), np.eye(len(mean)), np.zeros(len(mean)), move)


def _shrinkage(centred: np.ndarray) -> tuple[float, float]:
    """Share of the identity in the covariance of (examples, width), and its mean variance."""
    count, width = centred.shape
    products = centred @ centred.T if count < width else centred.T @ centred
    size = float(np.trace(products)) / count / width
    square = float(np.square(products).sum()) / (count * width) ** 2
    rest = (count + 1) * (square - size**2 / width)
    return (min(1.0, (square + size**2) / rest) if rest > 0 else 1.0), size


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Of a symmetric matrix, on the span of what is not constant."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > max(TINY * values[-1], np.finfo(np.float64).tiny)
    return np.asarray((vectors[:, kept] * values[kept] ** exponent) @ vectors[:, kept].T)
