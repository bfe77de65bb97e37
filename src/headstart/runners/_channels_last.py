"""Pictures and maps with channels innermost: convolutions run up to twice as fast, equal to 1e-6."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from headstart.contracts.carriers import State


def channels_last(state: State) -> State:
    """The same state, in another order in memory; pixels as bytes lie that way already."""
    if state.hidden.ndim != 4 or not state.hidden.is_floating_point():
        return state
    return State(state.hidden.contiguous(memory_format=torch.channels_last), state.context, state.taps)


def on_device(segment: nn.Module, device: Any) -> nn.Module:
    """The segment in evaluation mode, its live weights on the device and in that order too."""
    segment.to(device).to(memory_format=torch.channels_last)
    return segment.eval()
