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
from sklearn.covariance import oas

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
        whiten, root = _powers(oas(source)[0], -0.5, 0.5)
        moved = root @ oas((target - theirs) @ whiten, assume_centered=True)[0] @ root
        matrix, width = whiten @ _powers(moved, 0.5)[0], source.shape[1]

        def move(features: np.ndarray) -> np.ndarray:
            return np.asarray(((features - mean) @ matrix + theirs).astype(np.float32))

        return Aligned(move(source), np.eye(width), np.zeros(width), move)


def _powers(matrix: np.ndarray, *exponents: float) -> list[np.ndarray]:
    """Of a symmetric matrix, on the span of what is not constant."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > max(TINY * values[-1], np.finfo(np.float64).tiny)
    return [(vectors[:, kept] * values[kept] ** exponent) @ vectors[:, kept].T for exponent in exponents]
