"""Scores that are linear in the history: what popularity, neighbours, EASE and bridged similarities are solved to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

KNOWN = "known"


@dataclass(frozen=True)
class LinearScores:
    """scores = target history @ own + source history @ bridge + bias."""

    bias: np.ndarray
    """(items,) float32."""
    known: np.ndarray
    """(items,) bool: items that anything is known of; the others have -inf."""
    own: np.ndarray | csr_array | None = None
    """(items, items) float32."""
    bridge: np.ndarray | csr_array | None = None
    """(source items, items) float32."""

    def scores(self, target: csr_array, source: csr_array) -> np.ndarray:
        """(users, items) float32."""
        found = np.tile(self.bias, (target.shape[0], 1))
        for history, weights in ((target, self.own), (source, self.bridge)):
            if weights is not None and history.nnz:
                product = history @ weights
                found += product if isinstance(product, np.ndarray) else product.toarray()
        found[:, ~self.known] = -np.inf
        return found

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Dense maps as they are, sparse ones by their three arrays."""
        found = {"bias": self.bias, KNOWN: self.known}
        for name in ("own", "bridge"):
            weights = getattr(self, name)
            if isinstance(weights, csr_array):
                parts = {"data": weights.data, "indices": weights.indices, "indptr": weights.indptr}
                found |= {f"{name}.{part}": values for part, values in parts.items()}
                found[f"{name}.shape"] = np.array(weights.shape, np.int64)
            elif weights is not None:
                found[name] = weights
        return found

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> LinearScores:
        """The map with these arrays."""

        def weights(name: str) -> np.ndarray | csr_array | None:
            if f"{name}.data" in arrays:
                parts = tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
                return csr_array(parts, shape=tuple(arrays[f"{name}.shape"]))
            return arrays.get(name)

        return LinearScores(arrays["bias"], arrays[KNOWN].astype(bool), weights("own"), weights("bridge"))


def interacted(matrix: csr_array) -> np.ndarray:
    """(items,) bool: the items that somebody had."""
    return np.bincount(matrix.indices, minlength=matrix.shape[1]) > 0
