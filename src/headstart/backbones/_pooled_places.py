"""Pooling of a map or of tokens over their places, in the stead of an architecture's own.

- `avg`, `max`: over places.
- `gem`: (mean x^p)^(1/p) of what is positive, p = 3 at first and learnt with the last stage (Radenović et al. 2018,
  "Fine-tuning CNN image retrieval with no human annotation").
- `attention`: sum softmax(q x / sqrt(width)) x with a learnt q (one head of Lin et al. 2017, "A structured
  self-attentive sentence embedding", without its hidden layer). q begins at 0, which is the mean: nothing is forgotten.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

PoolKind = Literal["avg", "max", "gem", "attention"]

LEAST = 1e-6
"""Below which `gem` takes a value for this one: powers of negative numbers are none."""


class PooledPlaces(nn.Module):
    """(batch, channels, height, width), with `last` (batch, height, width, channels), or (batch, tokens, channels) ->
    (batch, channels); with `flat` false of as many axes as it got."""

    def __init__(self, kind: PoolKind, width: int, *, last: bool = False, skipped: int = 0, flat: bool = True) -> None:
        """`skipped` tokens come before those that are places."""
        super().__init__()
        self.kind, self.last, self.skipped, self.flat = kind, last, skipped, flat
        if kind == "gem":
            self.power = nn.Parameter(torch.tensor(3.0))
        if kind == "attention":
            self.query = nn.Parameter(torch.zeros(width))

    def forward(self, hidden: Tensor) -> Tensor:
        """See above."""
        if hidden.ndim == 3:
            places = hidden[:, self.skipped :]
        else:
            places = hidden.flatten(1, 2) if self.last else hidden.flatten(2).transpose(1, 2)
        pooled = self._pooled(places)
        if self.flat or hidden.ndim == 3:
            return pooled
        return pooled[:, None, None] if self.last else pooled[:, :, None, None]

    def _pooled(self, places: Tensor) -> Tensor:
        if self.kind == "max":
            return places.amax(dim=1)
        if self.kind == "gem":
            return places.clamp(min=LEAST).pow(self.power).mean(dim=1).pow(1 / self.power)
        if self.kind == "attention":
            shares = (places @ self.query / math.sqrt(len(self.query))).softmax(dim=1)
            return (shares[..., None] * places).sum(dim=1)
        return places.mean(dim=1)
