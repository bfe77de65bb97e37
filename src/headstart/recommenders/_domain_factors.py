"""Factors of both domains, and the histories of the users that they share: what maps between domains are learnt from.

A domain is factorised once: for all that is tried on it, and where there is a memo for later fits too, whatever other
domain it then meets. So the key, and the factors to the bit, depend on which items were had together and not on how
users are called or ordered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from headstart.contracts.interactions import Domains, Memo
from headstart.kernel.files import hash_bytes
from headstart.recommenders._least_squares import Weighing, half_step, item_factors

FEWEST_SHARED = 10
"""Users of both domains below which no map between these is learnt."""

KEPT, LARGEST = 4, 50_000_000
"""Results in memory, and bytes of one that is kept for later fits."""

_kept: OrderedDict[bytes, Tensor] = OrderedDict()


class Factors(NamedTuple):
    """A way to factorise a domain."""

    width: int
    weighing: Weighing
    epochs: int

    def items(self, matrix: csr_array, seed: int, memo: Memo | None) -> Tensor:
        """Return item factors (items, width) of (users, items) ones, as they are kept where they are known."""
        matrix = canonical(matrix)
        parts = matrix.indptr.tobytes(), matrix.indices.tobytes(), repr((self, seed, matrix.shape)).encode()
        key = hash_bytes(*parts).encode()
        if key not in _kept:
            _kept[key] = self._known(matrix, seed, memo, key)
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]

    def _known(self, matrix: csr_array, seed: int, memo: Memo | None, key: bytes) -> Tensor:
        shape = matrix.shape[1], self.width
        known = b"" if memo is None else memo.get([key]).get(key, b"")
        if len(known) == 4 * shape[0] * shape[1]:
            return torch.from_numpy(np.frombuffer(known, np.float32).reshape(shape).copy())
        found = item_factors(matrix, self.width, self.weighing, self.epochs, seed)
        values = found.numpy().tobytes()
        if memo is not None and len(values) <= LARGEST:
            memo.put({key: values})
        return found


def canonical(matrix: csr_array) -> csr_array:
    """Return (users, items) ones without empty rows, the rows in an order that follows from what is in them."""
    signs = np.random.default_rng(0).integers(0, 2**63, matrix.shape[1], dtype=np.uint64)
    some = np.flatnonzero(np.diff(matrix.indptr))
    sums = np.add.reduceat(signs[matrix.indices], matrix.indptr[some]) if len(some) else np.empty(0, np.uint64)
    found = csr_array(matrix[some[np.argsort(sums, kind="stable")]])
    found.sort_indices()
    return found


@dataclass(frozen=True)
class Shared:
    """Both domains by factors."""

    items: Tensor
    """(items, width) of the target."""
    source_items: Tensor
    """(source items, width of the source)."""
    target: np.ndarray
    """(shared users, width): their folds in the target."""
    source: np.ndarray
    """(shared users, width of the source): their folds in the source."""


def shared_factors(domains: Domains, how: Factors, seed: int) -> Shared:
    """Factorise both domains, and fold the histories of their shared users into the factors of each."""
    rows, source = domains.shared, of_source(domains)
    items, others = how.items(domains.target, seed, domains.memo), how.items(source, seed, domains.memo)
    folds = half_step(items, domains.target[rows], how.weighing), half_step(others, source[rows], how.weighing)
    return Shared(items, others, folds[0].numpy(), folds[1].numpy())


def of_source(domains: Domains) -> csr_array:
    """Return the source's interactions (users, source items). Raises ValueError without a source."""
    if domains.source is None:
        raise ValueError("there is no source domain")
    return domains.source


def lacks_shared(domains: Domains) -> str:
    """Return what is missing to learn from shared users; '' where there are enough."""
    shared = len(domains.shared)
    return "" if shared >= FEWEST_SHARED else f"{FEWEST_SHARED} users of both domains; there are {shared}"


def ridge_map(source: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    """Return (width of the source + 1, width): the ridge regression of target on source factors, intercept last.

    Args:
        source: (shared users, width of the source). target: (shared users, width).
        penalty: l as a multiple of the mean squared length of the centred columns of `source`.
    """
    means = source.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64)
    centred = source - means[0]
    gram = centred.T @ centred
    strength = penalty * np.trace(gram) / len(gram)
    solved = np.linalg.solve(gram + (strength + 1e-12) * np.eye(len(gram)), centred.T @ (target - means[1]))
    return np.vstack([solved, means[1] - means[0] @ solved]).astype(np.float32)
