"""Popularity: the items that most users had, the same for everyone. The control that sampled metrics flatter most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._linear_scores import LinearScores


class Popularity(SolvedRecommender):
    """The share of the target's users that had an item."""

    title: ClassVar[str] = "popularity"
    informed: ClassVar[bool] = False

    def lacks(self, domains: Domains) -> str:  # noqa: ARG002
        """Nothing."""
        return ""

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """It has no settings."""
        return (self,)

    def solve(self, domains: Domains, seed: int) -> Scorer:  # noqa: ARG002
        """Count."""
        counts = np.bincount(domains.target.indices, minlength=domains.target.shape[1])
        users = max(1, int((np.diff(domains.target.indptr) > 0).sum()))
        return LinearScores((counts / users).astype(np.float32), counts > 0)

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The counts as they were."""
        return LinearScores.of(arrays)
