"""Shared-user ridge: what shared users had in the target, regressed on what they had in the source.

A ridge map from source items to target items, W = X_s' (X_s X_s' + l I)^-1 X_t over the shared users, in its dual form,
as there are fewer of them than items; rows of X_s are weighed by item popularity^-p and of unit length. It is EMCDR
(Man et al. 2017) without factors in between, or EASE (Steck 2019) across domains. Own histories play no part: it is
for cold users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.linalg import solve
from scipy.sparse import csr_array

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._domain_factors import lacks_shared, of_source
from headstart.recommenders._linear_scores import LinearScores, counts_of, interacted, power, scaled

EXACT_SHARED = 500
"""Shared users up to which the dual is solved in float64."""

MOST_SHARED = 8_000
"""Shared users beyond which the dense dual would take minutes."""


class SharedRidge(SolvedRecommender):
    """Ridge regression from source items to target items over shared users."""

    title: ClassVar[str] = "shared-user ridge"
    transfers: ClassVar[bool] = True
    serves_cold: ClassVar[bool] = True

    ridge: float = Field(default=10.0, gt=0)
    """l, for histories of unit length; > 0."""
    damping: float = Field(default=0.25, ge=0, le=1)
    """p: by which popular source items count less; in [0, 1]."""

    def lacks(self, domains: Domains) -> str:
        """Shared users, and not too many."""
        shared = len(domains.shared)
        many = f"at most {MOST_SHARED:,} users of both domains; there are {shared:,}" if shared > MOST_SHARED else ""
        return lacks_shared(domains) or many

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """Four ridges."""
        return [self.model_copy(update={"ridge": ridge}) for ridge in (10.0, 3.0, 30.0, 100.0)]

    def solve(self, domains: Domains, seed: int) -> Scorer:  # noqa: ARG002
        """Solve the dual over shared users."""
        rows, source = domains.shared, of_source(domains)
        weights = power(counts_of(source), -self.damping)
        damped = scaled(source[rows], columns=weights)
        lengths = np.sqrt(np.asarray(damped.multiply(damped).sum(axis=1))).ravel()
        unit = scaled(damped, rows=1.0 / np.maximum(lengths, 1e-12))
        precise = np.float64 if len(rows) <= EXACT_SHARED else np.float32
        kernel = (unit @ unit.T).toarray().astype(precise)
        kernel[np.diag_indices_from(kernel)] += self.ridge
        wanted = domains.target[rows].toarray().astype(precise)
        dual = solve(kernel, wanted, assume_a="pos", overwrite_a=True, overwrite_b=True).astype(np.float32)
        into = csr_array(scaled(unit, columns=weights).T)
        return LinearScores(np.zeros(dual.shape[1], np.float32), interacted(domains.target), bridge=(into, dual))

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The map as it was."""
        return LinearScores.of(arrays)
