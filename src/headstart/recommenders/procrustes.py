"""Procrustes: a rotation and a scale from a user's factors in the source domain to those in the target.

The closest map that keeps angles: with the singular values U D V' of S'T, the centred factors of shared users, it is
s U V' with s = tr D / |S|^2 (Schoenemann, 1966). It has far fewer freedoms than a ridge map, so that it can be learnt
from fewer shared users. The mapped vector is used as in `emcdr`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._domain_factors import Factors, lacks_shared, shared_factors
from headstart.recommenders._factor_scores import FactorScores
from headstart.recommenders._least_squares import Weighing
from headstart.recommenders._linear_scores import interacted

SETTINGS = ((32, 0.01, 0.003), (32, 0.03, 0.003), (32, 0.1, 0.01))


class Procrustes(SolvedRecommender):
    """A rotation between the factors of both domains."""

    title: ClassVar[str] = "Procrustes"
    transfers: ClassVar[bool] = True
    serves_cold: ClassVar[bool] = True

    width: int = Field(default=32, ge=1)
    """Numbers of a factor; >= 1."""
    unobserved: float = Field(default=0.01, ge=0)
    """Weight of every item in each user's loss, as of iALS; >= 0."""
    ridge: float = Field(default=0.003, gt=0)
    """Weight of the squared factors; > 0."""
    epochs: int = Field(default=12, ge=1)
    """Times that both sides of a domain are solved for; >= 1."""

    def lacks(self, domains: Domains) -> str:
        """Shared users."""
        return lacks_shared(domains)

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """Narrow factors."""
        names = ("width", "unobserved", "ridge")
        return [self.model_copy(update=dict(zip(names, one))) for one in SETTINGS]

    def solve(self, domains: Domains, seed: int) -> Scorer:
        """Factorise both domains and solve for the rotation."""
        weighing = Weighing(self.unobserved, self.ridge)
        found = shared_factors(domains, Factors(self.width, weighing, self.epochs), seed)
        items, others, known = found.items.numpy(), found.source_items.numpy(), interacted(domains.target)
        return FactorScores(items, known, weighing, others, rotation(found.source, found.target), weighing)

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The factors and the rotation as they were."""
        return FactorScores.of(arrays)


def rotation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return (width + 1, width): a rotation times a scale, the intercept last, of factors (shared users, width)."""
    means = source.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64)
    centred = source - means[0]
    left, values, right = np.linalg.svd(centred.T @ (target - means[1]))
    turned = values.sum() / max(float(np.square(centred).sum()), 1e-12) * (left @ right)
    return np.vstack([turned, means[1] - means[0] @ turned]).astype(np.float32)
