"""Item contents: factors of items that few or no users had are predicted from what the items are.

A ridge regression from frozen vectors of contents (texts, pictures, numbers) to the item factors of iALS, as in Gantner
et al., Learning Attribute-to-Feature Mappings for Cold-Start Recommendations (ICDM 2010). It is learnt from items of
the target; or from those of the source, and then gives all factors of the target: the one bridge between domains that
share no user. Histories of both are then folded into one space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._domain_factors import Factors, of_source, ridge_map
from headstart.recommenders._factor_scores import FactorScores
from headstart.recommenders._least_squares import Weighing
from headstart.recommenders._linear_scores import counts_of

FEWEST = 10
"""Items with contents that the map is learnt from."""


class Content(SolvedRecommender):
    """Factors from the contents of items."""

    title: ClassVar[str] = "item contents"
    transfers: ClassVar[bool] = True
    serves_cold: ClassVar[bool] = True

    learnt_from: Literal["target", "source"] = "source"
    """The domain whose item factors the map from contents is learnt from."""
    penalty: float = Field(default=1.0, gt=0)
    """Ridge of the map, as a multiple of the mean squared length of the columns of contents; > 0."""
    own: float = Field(default=5.0, gt=0)
    """Users who had an item for whom its own factors count as much as the predicted ones; > 0."""
    width: int = Field(default=32, ge=1)
    """Numbers of a factor; >= 1."""
    unobserved: float = Field(default=0.1, ge=0)
    """Weight of every item in each user's loss, as of iALS; >= 0."""
    ridge: float = Field(default=0.003, gt=0)
    """Weight of the squared factors; > 0."""

    def lacks(self, domains: Domains) -> str:
        """Contents of items."""
        if domains.contents is None:
            return "contents of items (--items)"
        few = min(_learnable(domains, which).sum() for which in self._domains(domains))
        return f"{FEWEST} items with contents and users; there are {few}" if few < FEWEST else ""

    def tries(self, domains: Domains) -> Sequence[Self]:
        """Both domains, and three penalties."""
        names = ("learnt_from", "penalty")
        each = product(self._domains(domains), (1.0, 0.1, 10.0))
        return [self.model_copy(update=dict(zip(names, one))) for one in each]

    @staticmethod
    def _domains(domains: Domains) -> tuple[str, ...]:
        return ("target",) if domains.source is None or domains.source_contents is None else ("target", "source")

    def solve(self, domains: Domains, seed: int) -> Scorer:
        """Factorise a domain, and learn the map from contents to its item factors."""
        how = Factors(self.width, Weighing(self.unobserved, self.ridge), 12)
        from_source = self.learnt_from == "source"
        matrix, vectors = (
            (of_source(domains) if from_source else domains.target),
            contents_of(domains, self.learnt_from),
        )
        factors, there = how.items(matrix, seed, domains.memo).numpy(), _learnable(domains, self.learnt_from)
        found = ridge_map(vectors[there], factors[there], self.penalty)
        mine = contents_of(domains, "target")
        has = ~np.isnan(mine).any(axis=1)
        predicted = np.where(has[:, None], np.nan_to_num(mine) @ found[:-1] + found[-1], 0).astype(np.float32)
        if from_source:
            return FactorScores(predicted, has, how.weighing, factors)
        counts = counts_of(domains.target)
        share = np.where(has, counts / (counts + self.own), 1.0)[:, None].astype(np.float32)
        return FactorScores(share * factors + (1 - share) * predicted, has | (counts > 0), how.weighing)

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The factors as they were."""
        return FactorScores.of(arrays)


def contents_of(domains: Domains, which: str) -> np.ndarray:
    """Return the contents (items, width) of a domain. Raises ValueError where there are none."""
    found = domains.contents if which == "target" else domains.source_contents
    if found is None:
        raise ValueError(f"there are no contents of items of the {which}")
    return found


def _learnable(domains: Domains, which: str) -> np.ndarray:
    """(items,) bool: those with contents that somebody had."""
    matrix = domains.target if which == "target" else of_source(domains)
    return ~np.isnan(contents_of(domains, which)).any(axis=1) & (counts_of(matrix) > 0)
