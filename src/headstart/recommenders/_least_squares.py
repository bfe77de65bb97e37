"""Implicit alternating least squares: the half step that solves for all users, or items, given the other side.

Each user u minimises sum over the history of (1 - x.y_i)^2 + a sum over all items of (x.y_i)^2 + l_u |x - m_u|^2 with
l_u = l (n_u + a n)^v (Hu et al. 2008; weights and scaling of Rendle et al., RecSys 2022). In the basis of the
eigenvectors of Y^T Y everything but the history is diagonal, so that a short history of n items costs an (n, n) system
in place of a (width, width) one. The prior mean m_u is 0 in the papers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

AT_ONCE = 1_000_000
"""Numbers of one padded batch of histories."""


@dataclass(frozen=True)
class Weighing:
    """Weights of the loss."""

    unobserved: float
    """a, the weight of every item that a user may or may not have had."""
    ridge: float
    """l."""
    scaling: float = 1.0
    """v."""

    def ridges(self, lengths: np.ndarray, items: int) -> np.ndarray:
        """Return l_u (users,) of users with histories of these lengths."""
        return self.ridge * (lengths + self.unobserved * items) ** self.scaling


def half_step(factors: Tensor, histories: csr_array, weighing: Weighing, prior: Tensor | None = None) -> Tensor:
    """Return the factors (users, width) of histories (users, items), given those of the items (items, width).

    `prior` (users, width) are the prior means; zeros without.
    """
    lengths = np.diff(histories.indptr)
    values, vectors = torch.linalg.eigh((factors.T @ factors).double() * weighing.unobserved)
    values, vectors = values.clamp(min=0).to(factors.dtype), vectors.to(factors.dtype)
    turned = torch.cat([factors @ vectors, factors.new_zeros(1, factors.shape[1])])
    ridges = torch.from_numpy(weighing.ridges(lengths, histories.shape[1])).to(factors.dtype)
    found = factors.new_zeros(len(lengths), factors.shape[1]) if prior is None else prior @ vectors
    for numbers, items in _batches(histories, lengths, factors.shape[1]):
        picked, rows = _picked(turned, items), torch.from_numpy(numbers)
        means = None if prior is None else found[rows]
        found[rows] = _solved(picked, values, ridges[rows], means)
    if prior is not None and (nothing := np.flatnonzero(lengths == 0)).size:
        empty = torch.from_numpy(nothing)
        scale = ridges[empty, None]
        found[empty] *= scale / (values + scale)
    return found @ vectors.T


def _solved(picked: Tensor, values: Tensor, ridges: Tensor, means: Tensor | None) -> Tensor:
    """The solutions (batch, width) of padded histories (batch, items, width), in the basis of the eigenvectors."""
    diagonal = values + ridges[:, None]
    target = picked.new_ones(picked.shape[:2])
    shift = torch.zeros_like(diagonal)
    if means is not None:
        shift = means * values / diagonal
        target = target - torch.einsum("bld,bd->bl", picked, means - shift)
    scaled = picked / diagonal[:, None, :]
    if picked.shape[1] <= picked.shape[2]:
        system = torch.baddbmm(torch.eye(picked.shape[1], dtype=picked.dtype), scaled, picked.mT)
        weights = _cholesky_solve(system, target)
        moved = torch.einsum("bld,bl->bd", scaled, weights)
    else:
        system = torch.diag_embed(diagonal) + picked.mT @ picked
        moved = _cholesky_solve(system, torch.einsum("bld,bl->bd", picked, target))
    return moved if means is None else means - shift + moved


def improved(factors: Tensor, histories: csr_array, weighing: Weighing, start: Tensor, steps: int = 3) -> Tensor:
    """Return the factors of `half_step` by a few steps of conjugate gradients from `start` (users, width).

    Takacs et al., Applications of the Conjugate Gradient Method for Implicit Feedback (RecSys 2011): the factors of the
    epoch before are a good start, and no system is ever made.
    """
    lengths = np.diff(histories.indptr)
    gram = factors.T @ factors * weighing.unobserved
    padded = torch.cat([factors, factors.new_zeros(1, factors.shape[1])])
    ridges = torch.from_numpy(weighing.ridges(lengths, histories.shape[1])).to(factors.dtype)
    found = torch.zeros_like(start)
    for numbers, items in _batches(histories, lengths, 4 * factors.shape[1]):
        rows, picked = torch.from_numpy(numbers), _picked(padded, items)
        found[rows] = _conjugate(picked, gram, ridges[rows, None], start[rows], steps)
    return found


def _conjugate(picked: Tensor, gram: Tensor, ridges: Tensor, start: Tensor, steps: int) -> Tensor:
    """Improve factors (batch, width) of padded histories (batch, items, width)."""

    def product(factors: Tensor) -> Tensor:
        scores = (picked * factors[:, None]).sum(dim=2)
        return torch.bmm(scores[:, None], picked)[:, 0] + factors @ gram + ridges * factors

    found = start.clone()
    left = picked.sum(dim=1) - product(found)
    direction, size = left.clone(), left.square().sum(dim=1, keepdim=True)
    for _ in range(steps):
        moved = product(direction)
        step = size / (direction * moved).sum(dim=1, keepdim=True).clamp(min=1e-30)
        found += step * direction
        left -= step * moved
        before, size = size, left.square().sum(dim=1, keepdim=True)
        direction = left + size / before.clamp(min=1e-30) * direction
    return found


def _picked(padded: Tensor, items: np.ndarray) -> Tensor:
    """The factors (batch, items, width) of padded lists (batch, items); `index_select` is five times as fast as []."""
    return padded.index_select(0, torch.from_numpy(items).reshape(-1)).reshape(*items.shape, padded.shape[1])


def _cholesky_solve(system: Tensor, right: Tensor) -> Tensor:
    """Solve positive definite systems (batch, n, n) for (batch, n)."""
    return torch.cholesky_solve(right[..., None], torch.linalg.cholesky(system))[..., 0]


def _batches(histories: csr_array, lengths: np.ndarray, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows (batch,) of similar length and their items (batch, longest), filled up with the number of items."""
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    rising, start = lengths[order], 0
    while start < len(order):
        longest = max(rising[start] + 2, int(1.25 * rising[start]))
        stop = int(np.searchsorted(rising, longest, side="right"))
        size = max(1, AT_ONCE // (int(rising[stop - 1]) * width))
        rows = order[start : min(stop, start + size)]
        wide = int(lengths[rows[-1]])
        places = histories.indptr[rows][:, None] + np.arange(wide)
        inside = np.arange(wide) < lengths[rows][:, None]
        items = np.where(inside, histories.indices[np.where(inside, places, 0)], histories.shape[1])
        yield rows, items.astype(np.int64)
        start += len(rows)


def item_factors(
    matrix: csr_array,
    width: int,
    weighing: Weighing,
    epochs: int,
    seed: int,
    dtype: torch.dtype = torch.float32,
    *,
    exact: bool = False,
) -> Tensor:
    """Return item factors (items, width) of (users, items) ones; those of users are then a `half_step`.

    Items start as normal draws of deviation 0.1 / sqrt(width), as in Rendle et al. Each side is `improved` in turn, or
    solved for where that is to be `exact`.
    """
    drawn = torch.Generator().manual_seed(seed % 2**63)
    items = torch.randn(matrix.shape[1], width, generator=drawn, dtype=dtype) * (0.1 / width**0.5)
    transposed, users = csr_array(matrix.T), items.new_zeros(matrix.shape[0], width)
    for _ in range(epochs):
        users = half_step(items, matrix, weighing) if exact else improved(items, matrix, weighing, users)
        items = half_step(users, transposed, weighing) if exact else improved(users, transposed, weighing, items)
    return items
