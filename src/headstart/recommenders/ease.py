"""EASE: an item-to-item map by ridge regression of histories on themselves, with a zero diagonal.

Steck, Embarrassingly Shallow Autoencoders for Sparse Data (WWW 2019). With G = X^T X and P = (G + lambda I)^-1 the map
is B = I - P diag(1 / diag P), whose diagonal is 0; scores are x B. As in the paper; float32 from 4,000 items on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._linear_scores import LinearScores, interacted

MOST_ITEMS = 20_000
"""Items beyond which the dense map does not fit: at 20,000 it takes 1.6 GB, and as much again while it is solved."""

EXACT_ITEMS = 4_000


class Ease(SolvedRecommender):
    """Ridge regression of each item on all others."""

    title: ClassVar[str] = "EASE"

    ridge: float = Field(default=200.0, gt=0)
    """Weight of the squared coefficients, in interactions; > 0."""

    def lacks(self, domains: Domains) -> str:
        """A catalogue whose dense map fits into memory."""
        items = int(interacted(domains.target).sum())
        return f"at most {MOST_ITEMS:,} items, as its map is dense; there are {items:,}" if items > MOST_ITEMS else ""

    def tries(self, domains: Domains) -> Sequence[Self]:
        """Six ridges over two decades; three where each takes seconds."""
        ridges = (
            (200.0, 50.0, 100.0, 400.0, 800.0, 1600.0)
            if domains.target.shape[1] <= EXACT_ITEMS
            else (200.0, 50.0, 800.0)
        )
        return [self.model_copy(update={"ridge": ridge}) for ridge in ridges]

    def solve(self, domains: Domains, seed: int) -> Scorer:  # noqa: ARG002
        """Solve for the items that somebody had."""
        known = interacted(domains.target)
        matrix = domains.target[:, np.flatnonzero(known)]
        gram = (matrix.T @ matrix).toarray()
        precise = torch.float64 if len(gram) <= EXACT_ITEMS else torch.float32
        found = torch.from_numpy(gram).to(precise)
        found.diagonal().add_(self.ridge)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(found))
        inverse /= -inverse.diagonal()[None, :].clone()
        inverse.fill_diagonal_(0.0)
        own = np.zeros((len(known), len(known)), np.float32) if not known.all() else None
        solved = inverse.float().numpy()
        if own is not None:
            own[np.ix_(known, known)] = solved
        return LinearScores(np.zeros(len(known), np.float32), known, (solved if own is None else own,))

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The map as it was."""
        return LinearScores.of(arrays)
