"""Scores that are linear in the history: what popularity, neighbours, EASE and bridged similarities are solved to.

A map is a chain of matrices that a history is multiplied by one after the other: the product of sparse ones may be
dense, and is never made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

Weights = Any
"""A matrix, dense or sparse: numpy's or scipy's, which has no types."""

Chain = tuple[Weights, ...]

_PARTS = ("data", "indices", "indptr")


@dataclass(frozen=True)
class LinearScores:
    """scores = target history @ own + source history @ bridge + bias."""

    bias: np.ndarray
    """(items,) float32."""
    known: np.ndarray
    """(items,) bool: items that anything is known of; the others have -inf."""
    own: Chain = ()
    """From items to items; () for nothing."""
    bridge: Chain = ()
    """From source items to items; () for nothing."""

    def scores(self, target: csr_array, source: csr_array) -> np.ndarray:
        """(users, items) float32."""
        found = np.tile(self.bias, (target.shape[0], 1))
        for history, chain in ((target, self.own), (source, self.bridge)):
            if chain and history.nnz:
                found += multiplied(history, chain)
        found[:, ~self.known] = -np.inf
        return found

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Dense matrices as they are, sparse ones by their three arrays."""
        found = {"bias": self.bias, "known": self.known}
        for side, chain in (("own", self.own), ("bridge", self.bridge)):
            for number, weights in enumerate(chain):
                name = f"{side}.{number}"
                if isinstance(weights, csr_array):
                    found |= {f"{name}.{part}": getattr(weights, part) for part in _PARTS}
                    found[f"{name}.shape"] = np.array(weights.shape, np.int64)
                else:
                    found[name] = weights
        return found

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> LinearScores:
        """The maps with these arrays."""

        def chain(side: str) -> Chain:
            found: list[Weights] = []
            while (name := f"{side}.{len(found)}") in arrays or f"{name}.data" in arrays:
                if name in arrays:
                    found.append(arrays[name])
                else:
                    parts = tuple(arrays[f"{name}.{part}"] for part in _PARTS)
                    found.append(csr_array(parts, shape=tuple(arrays[f"{name}.shape"])))
            return tuple(found)

        return LinearScores(arrays["bias"], arrays["known"].astype(bool), chain("own"), chain("bridge"))


def multiplied(history: csr_array, chain: Chain) -> np.ndarray:
    """Return histories (users, items) times each matrix of a chain, (users, last width) dense."""
    product: Weights = history
    for number, weights in enumerate(chain):
        product = product @ weights
        if number == 0 and len(chain) > 1 and isinstance(product, csr_array) and product.nnz > product.shape[1]:
            product = product.toarray()
    return product if isinstance(product, np.ndarray) else product.toarray()


def interacted(matrix: csr_array) -> np.ndarray:
    """(items,) bool: the items that somebody had."""
    return counts_of(matrix) > 0


def counts_of(matrix: csr_array) -> np.ndarray:
    """(items,) int: how many users had each item."""
    return np.bincount(matrix.indices, minlength=matrix.shape[1])


def scaled(matrix: csr_array, rows: np.ndarray | None = None, columns: np.ndarray | None = None) -> csr_array:
    """Return (rows, columns) with rows and columns multiplied by numbers, each (n,) or None."""
    data = matrix.data.copy()
    if rows is not None:
        data *= np.repeat(rows, np.diff(matrix.indptr)).astype(data.dtype)
    if columns is not None:
        data *= columns[matrix.indices].astype(data.dtype)
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def power(counts: np.ndarray, exponent: float) -> np.ndarray:
    """Return counts (n,) to a power, 0 where a count is 0."""
    return np.where(counts > 0, np.maximum(counts, 1e-12) ** exponent, 0.0).astype(np.float32)
