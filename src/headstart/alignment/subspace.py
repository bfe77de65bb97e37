"""Subspace alignment: the source's principal directions are turned to the target's, and both are seen in these.

Fernando et al. 2013 ("Unsupervised visual domain adaptation using subspace alignment"), P the first principal
directions of a domain, (width, dimension):

    z_s = (x_s - mean_s) P_s P_s^T P_t,   z_t = (x_t - mean_t) P_t

The paper chooses the dimension by a bound on how stable the directions are; here it is a setting, at most what the
smaller domain has.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.linalg import eigh

from headstart.contracts.alignment import Aligned, Alignment
from headstart.contracts.domains import Domains
from headstart.kernel.errors import DataError


class Subspace(Alignment):
    """Principal directions of the source, turned to those of the target."""

    dimension: int = Field(default=128, ge=1)
    """Principal directions of each domain, at most the rank of the smaller one."""

    title = "subspace alignment"
    kinds = ("covariate", "concept", "cannot tell")

    def align(self, domains: Domains, seed: int) -> Aligned:  # noqa: ARG002
        """Turn the source; the new width is the dimension. Raises DataError where a domain is constant."""
        own, source = _directions(domains.source, self.dimension)
        theirs, target = _directions(domains.target, self.dimension)
        dimension = min(self.dimension, len(source), len(target))
        if not dimension:
            raise DataError("subspace alignment needs two different examples in each domain")
        source, target = source[:dimension].T, target[:dimension].T
        turn = source @ (source.T @ target)

        def move(features: np.ndarray) -> np.ndarray:
            return np.asarray(((features - own) @ turn).astype(np.float32))

        return Aligned(move(domains.source), target, -theirs @ target, move)


def _directions(features: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean (width,) and at most so many principal directions (some, width), those of the largest variance first."""
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    wide = centred.shape[1] > len(centred)
    products = centred @ centred.T if wide else centred.T @ centred
    size = len(products)
    squares, vectors = eigh(products, subset_by_index=(max(0, size - most), size - 1))
    kept = squares > max(1e-10 * squares[-1], np.finfo(np.float64).tiny)
    found = vectors[:, kept] / np.sqrt(squares[kept]) if wide else vectors[:, kept]
    return mean, (found.T @ centred if wide else found.T)[::-1]
