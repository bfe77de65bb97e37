"""CMF: both domains are factorised together, with one vector for each user, whichever domain a history is from.

Singh and Gordon, Relational Learning via Collective Matrix Factorization (KDD 2008): the items of both domains stand
side by side, and the loss is that of `ials`. A user of the source alone is folded in by that history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, hstack

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._domain_factors import Factors, lacks_shared, of_source
from headstart.recommenders._factor_scores import FactorScores
from headstart.recommenders._least_squares import Weighing
from headstart.recommenders._linear_scores import interacted

SETTINGS = ((0.01, 0.01), (0.03, 0.01), (0.1, 0.01), (0.01, 0.03))


class Cmf(SolvedRecommender):
    """Joint factors of both domains."""

    title: ClassVar[str] = "CMF"
    transfers: ClassVar[bool] = True
    serves_cold: ClassVar[bool] = True

    width: int = Field(default=64, ge=1)
    """Numbers of a factor; >= 1."""
    unobserved: float = Field(default=0.01, ge=0)
    """Weight of every item in each user's loss, as of iALS; >= 0."""
    ridge: float = Field(default=0.01, gt=0)
    """Weight of the squared factors; > 0."""
    epochs: int = Field(default=12, ge=1)
    """Times that both sides are solved for; >= 1."""

    def lacks(self, domains: Domains) -> str:
        """Shared users."""
        return lacks_shared(domains)

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """Weights around those of the target alone."""
        return [self.model_copy(update={"unobserved": weight, "ridge": ridge}) for weight, ridge in SETTINGS]

    def solve(self, domains: Domains, seed: int) -> Scorer:
        """Factorise both domains side by side."""
        weighing, count = Weighing(self.unobserved, self.ridge), domains.target.shape[1]
        both = csr_array(hstack([domains.target, of_source(domains)]))
        items = Factors(self.width, weighing, self.epochs).items(both, seed, domains.memo)
        known = interacted(domains.target)
        return FactorScores(items[:count].numpy().copy(), known, weighing, items[count:].numpy().copy())

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The factors as they were."""
        return FactorScores.of(arrays)
