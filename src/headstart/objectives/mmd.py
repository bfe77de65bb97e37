"""MK-MMD: the mean embeddings of both domains' features in several kernel spaces are brought together.

Long, Cao, Wang & Jordan 2015 ("Learning transferable features with deep adaptation networks"). With Gaussian kernels
k_m(x, y) = exp(-||x - y||^2 / (2 s_m)), whose s_m = 2^m v are multiples of the mean squared distance v of all pairs of
different examples of the two batches, and k their mean,

    MMD^2 = mean_{i != j} k(s_i, s_j) + mean_{i != j} k(t_i, t_j) - 2 mean_{ij} k(s_i, t_j)
    loss = task loss + weight * MMD^2

This is the unbiased estimate (Gretton et al. 2012) of all pairs, which may fall below 0; the paper takes the noisier
one of linear time, and weighs the kernels by a quadratic programme. v takes no gradient. Only the features that the
head reads are aligned, where the paper has three layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from headstart.contracts.objective import SOURCE, TARGET, Objective, Step
from headstart.objectives._domains import aligned


class MMD(Objective):
    """The task loss, and the distance of the domains' mean embeddings."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    gathers: ClassVar[bool] = True

    weight: float = Field(default=1.0, gt=0)
    """Of the distance beside the task's own loss; > 0."""
    bandwidths: tuple[int, ...] = Field(default=(-3, -2, -1, 0, 1), min_length=1)
    """Exponents m of the kernels."""

    def first_stage(self, stages: int) -> int:
        """A stage must move, or a bottleneck."""
        return stages - 1

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "distance", each a scalar ()."""
        source, target, losses = aligned(step)
        return {**losses, "distance": self.weight * squared_discrepancy(source, target, self.bandwidths)}


def squared_discrepancy(source: Tensor, target: Tensor, bandwidths: tuple[int, ...]) -> Tensor:
    """Return the unbiased MMD^2 of features (batch, d) of two domains, a scalar ()."""
    joint = torch.cat([source, target])
    centred = joint - joint.detach().mean(dim=0)  # distances of vectors near 0 lose fewer digits
    norms = centred.square().sum(dim=1)
    squares = (norms[:, None] + norms[None] - 2 * centred @ centred.T).clamp(min=0)
    apart = 1 - torch.eye(len(joint), dtype=joint.dtype, device=joint.device)
    usual = (squares * apart).sum().detach() / apart.sum()
    usual = usual.clamp(min=torch.finfo(joint.dtype).tiny)
    kernel = torch.stack([torch.exp(-squares / (2 * 2.0**m * usual)) for m in bandwidths]).mean(dim=0) * apart
    n, m = len(source), len(target)
    within = kernel[:n, :n].sum() / max(1, n * (n - 1)) + kernel[n:, n:].sum() / max(1, m * (m - 1))
    return within - 2 * kernel[:n, n:].mean()
