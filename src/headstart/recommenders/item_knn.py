"""Item neighbours: an item is scored by how similar it is to those of the history.

Cosine similarity of item columns with shrinkage, s_ij = n_ij / (sqrt(n_i n_j) + shrink), of which each item keeps the
`neighbours` largest (Sarwar et al., WWW 2001; shrinkage and tuning after Ferrari Dacrema et al., RecSys 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, vstack

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Scorer, SolvedRecommender
from headstart.recommenders._linear_scores import LinearScores, interacted

ROWS_AT_ONCE = 500


class ItemKnn(SolvedRecommender):
    """Cosine neighbours of items."""

    title: ClassVar[str] = "item neighbours"

    neighbours: int = Field(default=100, ge=1)
    """Similar items that are kept of each; >= 1."""
    shrink: float = Field(default=10.0, ge=0)
    """By which similarities that rest on few users are lowered; >= 0."""

    def lacks(self, domains: Domains) -> str:  # noqa: ARG002
        """Nothing."""
        return ""

    def tries(self, domains: Domains) -> Sequence[Self]:  # noqa: ARG002
        """Few and many neighbours, little and much shrinkage."""
        pairs = ((100, 10.0), (100, 0.0), (100, 50.0), (20, 10.0), (400, 10.0))
        return [self.model_copy(update={"neighbours": n, "shrink": shrink}) for n, shrink in pairs]

    def solve(self, domains: Domains, seed: int) -> Scorer:  # noqa: ARG002
        """Keep the nearest items of each, some rows at a time."""
        matrix = domains.target
        counts = np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float32)
        columns = matrix.T.tocsr()
        pieces = [
            self._nearest(columns[start : start + ROWS_AT_ONCE] @ matrix, start, counts)
            for start in range(0, matrix.shape[1], ROWS_AT_ONCE)
        ]
        return LinearScores(np.zeros(len(counts), np.float32), interacted(matrix), (csr_array(vstack(pieces)),))

    def _nearest(self, shared: csr_array, start: int, counts: np.ndarray) -> csr_array:
        """The similarities (rows, items) of some items from users that they share, the largest of each row."""
        rows = np.repeat(np.arange(shared.shape[0]), np.diff(shared.indptr))
        values = shared.data / (np.sqrt(counts[rows + start] * counts[shared.indices]) + self.shrink)
        values[rows + start == shared.indices] = 0.0
        order = np.lexsort((shared.indices, -values, rows))
        place = np.arange(len(rows)) - np.repeat(shared.indptr[:-1], np.diff(shared.indptr))
        kept = order[(place < self.neighbours) & (values[order] > 0)]
        return csr_array((values[kept], (rows[kept], shared.indices[kept])), shape=shared.shape)

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Scorer:
        """The neighbours as they were."""
        return LinearScores.of(arrays)
