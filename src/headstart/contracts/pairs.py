"""Pairs of inputs that a backbone reads apart: both on their way as one state, and features of how they compare.

With u and v the pooled features of the two, each scaled to a mean square of 1, the features of the pair are
[u, v, |u - v|, u * v, 4 sqrt(width) cos(u, v)], as of Conneau et al. 2017 ("Supervised learning of universal sentence
representations") and Reimers & Gurevych 2019 ("Sentence-BERT") with the cosine added. Its factor gives that one number
about the variance of a whole block, so that few labels suffice to find it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import LENGTH_MASK, State

EACH_MASK = "each_mask"
"""The context entry (batch, length, 2) that is nonzero at the real tokens of each input of a pair."""

_COSINE = 4.0
_TINY = 1e-12


def compared_width(width: int) -> int:
    """Width of the features of a pair."""
    return 4 * width + 1


def single_width(width: int) -> int:
    """Width of the features of one input, of pairs whose features have that width."""
    return (width - 1) // 4


def compared(pooled: Tensor) -> Tensor:
    """Features (pairs, 4 width + 1) float32 of inputs (2 pairs, width), the two of a pair one after the other."""
    both = pooled.float().unflatten(0, (-1, 2))
    scaled = both * both.square().mean(dim=2, keepdim=True).clamp(min=_TINY).rsqrt()
    u, v = scaled.unbind(1)
    cosine = (u * v).mean(dim=1, keepdim=True)
    return torch.cat([u, v, (u - v).abs(), u * v, _COSINE * math.sqrt(u.shape[1]) * cosine], dim=1)


def together(state: State) -> State:
    """Inputs (2 pairs, length, ...), the two of a pair one after the other, as pairs (pairs, length, 2, ...).

    Pooled taps become features of pairs.
    """
    context = {name: _joined(value) for name, value in state.context.items()}
    mask = context.pop(LENGTH_MASK)
    context |= {LENGTH_MASK: mask.amax(dim=2), EACH_MASK: mask}
    return State(_joined(state.hidden), context, _taps(state.taps))


def apart(state: State) -> State:
    """Pairs as inputs, as `together` takes them; taps are left out."""
    names = {EACH_MASK: LENGTH_MASK}
    context = {names.get(name, name): _parted(value) for name, value in state.context.items() if name != LENGTH_MASK}
    return State(_parted(state.hidden), context)


class Twice(nn.Module):
    """A segment for inputs as one for pairs of them: `State -> State`, pairs on both sides."""

    def __init__(self, segment: nn.Module) -> None:
        """Wrap the segment."""
        super().__init__()
        self.segment = segment

    def forward(self, state: State) -> State:
        """Both inputs of every pair in one batch. The context is handed on as it is."""
        found = self.segment(apart(state))
        return State(_joined(found.hidden), state.context, {**state.taps, **_taps(found.taps)})


def _taps(taps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: _joined(value) if value.dim() > 2 else compared(value) for name, value in taps.items()}


def _joined(values: Tensor) -> Tensor:
    return values.unflatten(0, (-1, 2)).transpose(1, 2)


def _parted(values: Tensor) -> Tensor:
    return values.transpose(1, 2).flatten(0, 1)
