"""Implicit ALS: factors of users and items, solved for in turns, with every unobserved item weighed a little.

Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets (ICDM 2008), with the settings of Rendle
et al., Revisiting the Performance of iALS on Item Recommendation Benchmarks (RecSys 2022): see `_least_squares`. Each
half step takes a few steps of conjugate gradients, where theirs goes by blocks of dimensions; new users are solved for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._domain_factors import Factors
from headstart.recommenders._factor_scores import FactorScores
from headstart.recommenders._least_squares import Weighing
from headstart.recommenders._linear_scores import interacted

FIRST = ((0.1, 0.003), (0.03, 0.003), (0.03, 0.01), (0.01, 0.003), (0.1, 0.01), (0.1, 0.03), (0.3, 0.01))
"""Weights of the unobserved and ridges that are tried."""


class Ials(SolvedRecommender):
    """Factors of users and items by alternating least squares."""

    title: ClassVar[str] = "iALS"

    width: int = Field(default=64, ge=1)
    """Numbers of a factor; >= 1."""
    unobserved: float = Field(default=0.1, ge=0)
    """Weight of every item in each user's loss, beside 1 for each of the history; >= 0."""
    ridge: float = Field(default=0.003, gt=0)
    """Weight of the squared factors; > 0."""
    scaling: float = Field(default=1.0, ge=0, le=1)
    """Exponent by which the ridge grows with the length of a history; in [0, 1]."""
    epochs: int = Field(default=12, ge=1)
    """Times that both sides are solved for; >= 1."""

    @property
    def weighing(self) -> Weighing:
        """Weights of the loss."""
        return Weighing(self.unobserved, self.ridge, self.scaling)

    def lacks(self, domains: Domains) -> str:  # noqa: ARG002
        """Nothing."""
        return ""

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """Weights around those of the paper."""
        return [self.model_copy(update={"unobserved": weight, "ridge": ridge}) for weight, ridge in FIRST]

    def solve(self, domains: Domains, seed: int) -> Scorer:
        """Factorise the target."""
        known = interacted(domains.target)
        items = Factors(self.width, self.weighing, self.epochs).items(domains.target, seed, domains.memo)
        return FactorScores(items.numpy(), known, self.weighing)

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The factors as they were."""
        return FactorScores.of(arrays)
