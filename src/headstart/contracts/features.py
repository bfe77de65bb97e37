"""Features: what a backbone gives and a head reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class MapShape(NamedTuple):
    """One level of `Features.maps`."""

    channels: int
    stride: int
    """Pixels of the input per cell, along each axis."""


@dataclass(frozen=True)
class Features:
    """Features for heads. A backbone fills those that it has."""

    pooled: Tensor
    """(batch, width)"""
    tokens: Tensor | None = None
    """(batch, length, width)"""
    mask: Tensor | None = None
    """(batch, length), 1 at real tokens"""
    maps: tuple[Tensor, ...] = ()
    """Each (batch, channels, height, width), finest first."""
    places: Tensor | None = None
    """(batch, length, 2), as the context `PLACES`: the characters that each token stands for."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Features:
        """Return the same features with every tensor (batch, ...) changed."""
        tokens, mask, places = (None if v is None else change(v) for v in (self.tokens, self.mask, self.places))
        return Features(change(self.pooled), tokens, mask, tuple(change(level) for level in self.maps), places)
