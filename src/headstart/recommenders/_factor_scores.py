"""Scores by factors: a history is folded into the factors of its items, and the result is compared with those of all.

A new user costs one half step of `_least_squares` and no training. With a map, the fold of the source history becomes
the prior mean of the fold of the target's, so that it decides alone for a cold user and less with every own item.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array, hstack

from headstart.recommenders._least_squares import Weighing, half_step


@dataclass(frozen=True)
class FactorScores:
    """Item factors, and how histories are folded into them."""

    items: np.ndarray
    """(items, width) float32."""
    known: np.ndarray
    """(items,) bool: items that anything is known of; the others have -inf."""
    weighing: Weighing
    source: np.ndarray | None = None
    """(source items, width of the source) float32."""
    map: np.ndarray | None = None
    """(width of the source + 1, width): from the source's fold, and a one, to the prior mean. None: both histories are
    folded at once, in one space."""
    source_weighing: Weighing | None = None
    bias: np.ndarray | None = None
    """(items,) float32: scores of a user of whom nothing is known."""

    def folded(self, target: csr_array, source: csr_array) -> np.ndarray:
        """(users, width) float32."""
        items = torch.from_numpy(self.items)
        if self.source is None:
            return half_step(items, target, self.weighing).numpy()
        others = torch.from_numpy(self.source)
        if self.map is None:
            both = csr_array(hstack([target, source]))
            return half_step(torch.cat([items, others]), both, self.weighing).numpy()
        prior = self.mapped(half_step(others, source, self.source_weighing or self.weighing).numpy())
        prior[np.diff(source.indptr) == 0] = 0.0
        return half_step(items, target, self.weighing, torch.from_numpy(prior)).numpy()

    def mapped(self, folded: np.ndarray) -> np.ndarray:
        """The prior means (users, width) of folds of the source (users, width of the source)."""
        if self.map is None:
            return folded
        return np.asarray(folded @ self.map[:-1] + self.map[-1], np.float32)

    def scores(self, target: csr_array, source: csr_array) -> np.ndarray:
        """(users, items) float32."""
        found = self.folded(target, source) @ self.items.T
        if self.bias is not None:
            found += self.bias
        found[:, ~self.known] = -np.inf
        return np.asarray(found, np.float32)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All of it."""
        found = {"items": self.items, "known": self.known, "weighing": _numbers(self.weighing)}
        for name in ("source", "map", "bias"):
            if (values := getattr(self, name)) is not None:
                found[name] = values
        if self.source_weighing is not None:
            found["source_weighing"] = _numbers(self.source_weighing)
        return found

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> FactorScores:
        """The factors with these arrays."""
        other = arrays.get("source_weighing")
        return FactorScores(
            arrays["items"],
            arrays["known"].astype(bool),
            Weighing(*arrays["weighing"].tolist()),
            arrays.get("source"),
            arrays.get("map"),
            None if other is None else Weighing(*other.tolist()),
            arrays.get("bias"),
        )


def _numbers(weighing: Weighing) -> np.ndarray:
    return np.array([weighing.unobserved, weighing.ridge, weighing.scaling])
