"""Running a part of a backbone: `State -> State` around a graph, with pooled vectors or maps of inner boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from headstart.contracts.carriers import State, Tap


class Layout(NamedTuple):
    """Axis order of hidden tensors."""

    channels_last: bool
    """Whether maps are (batch, height, width, channels) rather than (batch, channels, height, width)."""
    prefix_tokens: int
    """Class and register tokens in front of a (batch, tokens, channels) sequence."""

    def pooled(self, hidden: Tensor) -> Tensor:
        """The mean over space or patch tokens, (batch, channels)."""
        if hidden.ndim == 2:
            return hidden
        if hidden.ndim == 4 and not self.channels_last:
            return hidden.mean((2, 3))
        return hidden[:, self.prefix_tokens :].flatten(1, -2).mean(1)


class Part(NamedTuple):
    """A tap and the layout of what it reads."""

    tap: Tap
    layout: Layout


class TappedSegment(nn.Module):
    """`body` maps hidden to (hidden, one tensor per part)."""

    def __init__(self, body: nn.Module, parts: Sequence[Part]) -> None:
        """Wrap `body`, which shares its modules with the whole model."""
        super().__init__()
        self.body = body
        self.parts = tuple(parts)

    def forward(self, state: State) -> State:
        """Run it; context is passed on and taps are added."""
        hidden, *read = self.body(state.hidden)
        taps = dict(state.taps)
        for part, value in zip(self.parts, read):
            taps[part.tap.key] = part.layout.pooled(value) if part.tap.form == "pooled" else value
        return State(hidden, state.context, taps)
