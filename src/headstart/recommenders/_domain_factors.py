"""Factors of both domains, and the histories of the users that they share: what maps between domains are learnt from.

A domain is factorised once for all that is tried on it: the last few results are kept in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor

from headstart.contracts.interactions import Domains
from headstart.kernel.files import hash_bytes
from headstart.recommenders._least_squares import Weighing, factorised, half_step

FEWEST_SHARED = 10
"""Users of both domains below which no map between these is learnt."""

KEPT = 4

_kept: OrderedDict[tuple[object, ...], Tensor] = OrderedDict()


class Factors(NamedTuple):
    """A way to factorise a domain."""

    width: int
    weighing: Weighing
    epochs: int

    def items(self, matrix: csr_array, seed: int) -> Tensor:
        """Return item factors (items, width) of (users, items) ones; those of the last few matrices are kept."""
        digest = hash_bytes(matrix.indptr.tobytes(), matrix.indices.tobytes(), str(matrix.shape).encode())
        key = (digest, self, seed)
        if key not in _kept:
            _kept[key] = factorised(matrix, self.width, self.weighing, self.epochs, seed)[1]
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]


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
    items, others = how.items(domains.target, seed), how.items(source, seed)
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
