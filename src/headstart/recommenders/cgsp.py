"""CGSP: similarities of the target's items, and a bridge to them from the source's items over shared users.

Lee et al., Graph Signal Processing for Cross-Domain Recommendation (arXiv 2407.12374, 2024). With R normalised by users
and items, the similarities of a domain are S = R'R and the bridge is C = R_s'R_t over the shared users. An own history
goes through a S_t + (1 - a) C'C, a source history through C, or through S_s C S_t, which reaches items that no shared
user had. Here the maps are applied one after the other and never multiplied out, no ideal low-pass filter is added, and
items are weighed by popularity^p in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._domain_factors import lacks_shared, of_source
from headstart.recommenders._linear_scores import Chain, LinearScores, counts_of, interacted, power, scaled


class Cgsp(SolvedRecommender):
    """Similarities within the target and a bridge from the source."""

    title: ClassVar[str] = "CGSP"
    transfers: ClassVar[bool] = True
    serves_cold: ClassVar[bool] = True

    bridge: float = Field(default=0.3, ge=0)
    """Weight of the source history beside the own one; >= 0."""
    spread: bool = False
    """Whether source histories also go through the similarities within both domains."""
    popularity: float = Field(default=0.5, ge=0, le=1)
    """p: by which popular items count more; in [0, 1]."""

    def lacks(self, domains: Domains) -> str:
        """Shared users."""
        return lacks_shared(domains)

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """Weak and strong bridges, narrow and spread."""
        names = ("spread", "bridge", "popularity")
        each = product((False, True), (0.3, 0.1, 1.0), (0.5, 0.0))
        return [self.model_copy(update=dict(zip(names, one))) for one in each]

    def solve(self, domains: Domains, seed: int) -> Scorer:  # noqa: ARG002
        """Normalise both domains and count over shared users."""
        rows, known = domains.shared, interacted(domains.target)
        weights = power(counts_of(domains.target), self.popularity)
        target, source = normalised(domains.target), normalised(of_source(domains))
        between = csr_array(source[rows].T @ target[rows])
        own = csr_array(scaled(csr_array(target.T @ target), columns=weights))
        bridge: Chain = (scaled(between, columns=weights),)
        if self.spread:
            bridge = (csr_array(source.T @ source), between, own)
        first = scaled(bridge[0], rows=np.full(bridge[0].shape[0], self.bridge))
        return LinearScores(np.zeros(len(known), np.float32), known, (own,), (first, *bridge[1:]))

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The maps as they were."""
        return LinearScores.of(arrays)


def normalised(matrix: csr_array) -> csr_array:
    """Return (users, items) ones divided by the roots of the numbers of each user's and each item's."""
    return scaled(matrix, power(np.diff(matrix.indptr), -0.5), power(counts_of(matrix), -0.5))
