"""Kinds of heads on pooled features in place of a task's own linear one; each ends in, or stands for, that one.

- `Mlp`: layers x -> dropout(GELU(W x + b)) on features of zero mean and unit variance over their width, then the task's
  head.
- `Cosine`: s cos(w_k, x - m) (Gidaris & Komodakis 2018, "Dynamic few-shot visual learning without forgetting").
- `Prototypes`: -s ||z - c_k||^2 with z = (x - m) / ||x - m|| (Snell et al. 2017, "Prototypical networks").
- `StageSum`: sum over stages l of softmax(a)_l h_l(x_l), with a linear head h_l for each stage, whose widths may differ
  (Peters et al. 2018, "Deep contextualized word representations", sum the features themselves).

m is the mean of the training features, as Wang et al. 2019 ("SimpleShot") have it: features after a ReLU all point the
same way. The papers have none, and draw their classes anew in each episode; here w_k and c_k begin as means of the
class's training features (Qi et al. 2018, "Low-shot learning with imprinted weights") and then train, s too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

SCALE = 10.0
"""Where s begins, as in Gidaris & Komodakis."""


@runtime_checkable
class BeginsAtMeans(Protocol):
    """A head whose classes begin at the means of their features."""

    def begin(self, features: Tensor, labels: Tensor) -> None:
        """Take the means of features (examples, width) by their labels (examples,); a class without one keeps what it
        has."""
        ...


class Mlp(nn.Module):
    """Layers before a linear head."""

    def __init__(self, width: int, hidden: int, layers: int, dropout: float, head: nn.Module) -> None:
        """`width` features come in; `head` reads `hidden` of them."""
        super().__init__()
        parts: list[nn.Module] = [nn.LayerNorm(width, elementwise_affine=False)]
        for before in (width, *[hidden] * (layers - 1)):
            parts += [nn.Linear(before, hidden), nn.GELU(), nn.Dropout(dropout)]
        self.layers, self.head = nn.Sequential(*parts), head

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, width) -> what the head gives."""
        found: Tensor = self.head(self.layers(pooled))
        return found


class _ByDirection(nn.Module):
    """Classes in the space of centred features of length 1."""

    def __init__(self, head: nn.Linear) -> None:
        """`head` is the task's own, fresh one, which says the sizes."""
        super().__init__()
        self.weight = nn.Parameter(head.weight.detach().clone())
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))
        self.register_buffer("centre", torch.zeros(head.in_features))

    def directions(self, pooled: Tensor) -> Tensor:
        """(batch, width), each of length 1."""
        return nn.functional.normalize(pooled - self.get_buffer("centre"), dim=-1)

    @torch.no_grad()
    def begin(self, features: Tensor, labels: Tensor) -> None:
        """See `BeginsAtMeans`."""
        self.get_buffer("centre").copy_(features.mean(dim=0))
        directions = self.directions(features)
        for label in labels.unique().tolist():
            self.weight[label] = directions[labels == label].mean(dim=0)


class Cosine(_ByDirection):
    """Classes as directions."""

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, width) -> (batch, classes)"""
        cosines = self.directions(pooled) @ nn.functional.normalize(self.weight, dim=-1).T
        return self.log_scale.exp() * cosines


class Prototypes(_ByDirection):
    """Classes as points."""

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, width) -> (batch, classes)"""
        apart = self.directions(pooled)[:, None] - self.weight
        return -self.log_scale.exp() * apart.square().sum(dim=-1)


class StageSum(nn.Module):
    """A learnt sum of the heads of several stages."""

    def __init__(self, widths: Sequence[int], heads: Sequence[nn.Module]) -> None:
        """The features of the stages lie side by side, each of its width."""
        super().__init__()
        self.widths = tuple(widths)
        self.heads = nn.ModuleList(heads)
        self.shares = nn.Parameter(torch.zeros(len(widths)))

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, sum of widths) -> what one of the heads gives."""
        parts = [nn.functional.layer_norm(part, part.shape[-1:]) for part in pooled.split(self.widths, dim=-1)]
        each = torch.stack([head(part) for head, part in zip(self.heads, parts)], dim=-1)
        return each @ self.shares.softmax(dim=0)
