"""EMCDR: a linear map from a user's factors in the source domain to those in the target, learnt from shared users.

Man et al., Cross-Domain Recommendation: An Embedding and Mapping Approach (IJCAI 2017). With factors S (shared users,
width) of the source and T of the target the map is M = (S'S + l I)^-1 S'T, with a free intercept. Factors are those of
iALS rather than of rating prediction, and the mapped vector is the prior mean of the fold of the own history, so that
one formula serves cold users, who have nothing else, and warm ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._domain_factors import Factors, lacks_shared, ridge_map, shared_factors
from headstart.recommenders._factor_scores import FactorScores
from headstart.recommenders._least_squares import Weighing
from headstart.recommenders._linear_scores import interacted

SETTINGS = ((0.01, 0.003), (0.03, 0.003), (0.1, 0.01))
"""Weights of the unobserved and ridges of factors that are tried."""

PENALTIES = (0.1, 0.01, 1.0)


class Emcdr(SolvedRecommender):
    """A ridge map between the factors of both domains."""

    title: ClassVar[str] = "EMCDR"
    transfers: ClassVar[bool] = True
    serves_cold: ClassVar[bool] = True

    width: int = Field(default=64, ge=1)
    """Numbers of a factor; >= 1."""
    unobserved: float = Field(default=0.01, ge=0)
    """Weight of every item in each user's loss, as of iALS; >= 0."""
    ridge: float = Field(default=0.003, gt=0)
    """Weight of the squared factors; > 0."""
    epochs: int = Field(default=12, ge=1)
    """Times that both sides of a domain are solved for; >= 1."""
    penalty: float = Field(default=0.1, gt=0)
    """l, as a multiple of the mean squared length of the columns of S; > 0."""

    @property
    def factors(self) -> Factors:
        """The way in which domains are factorised."""
        return Factors(self.width, Weighing(self.unobserved, self.ridge), self.epochs)

    def lacks(self, domains: Domains) -> str:
        """Shared users."""
        return lacks_shared(domains)

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """Each way to factorise with each penalty of the map."""
        names = ("unobserved", "ridge", "penalty")
        each = [(*settings, penalty) for settings, penalty in product(SETTINGS, PENALTIES)]
        return [self.model_copy(update=dict(zip(names, one))) for one in each]

    def solve(self, domains: Domains, seed: int) -> Scorer:
        """Factorise both domains and solve for the map."""
        found, known = shared_factors(domains, self.factors, seed), interacted(domains.target)
        weighing = self.factors.weighing
        items, others = found.items.numpy(), found.source_items.numpy()
        return FactorScores(
            items, known, weighing, others, ridge_map(found.source, found.target, self.penalty), weighing
        )

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The factors and the map as they were."""
        return FactorScores.of(arrays)
