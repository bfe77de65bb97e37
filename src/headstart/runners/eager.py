"""Eager: plain PyTorch in full precision. Slow, always right: what every other runner is compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.backends import cudnn

from headstart.contracts.carriers import State
from headstart.contracts.runner import Execute
from headstart.kernel.settings import Settings


class Eager(Settings):
    """Runs a segment as it stands, in float32 and evaluation mode."""

    @property
    def precision(self) -> str:
        """'float32'"""
        return "float32"

    def start(self, segment: nn.Module, example: State, device: Any) -> Execute:  # noqa: ARG002
        """Move the segment's live modules to `device` and to evaluation mode."""
        segment.to(device).eval()

        def execute(state: State) -> State:
            # TensorFloat-32, cuDNN's default, would round the products of convolutions to 10 bits
            with torch.inference_mode(), cudnn.flags(enabled=True, allow_tf32=False):
                result: State = segment(_channels_last(state.to(device)))
                return result.to("cpu")

        return execute


def _channels_last(state: State) -> State:
    """Pictures and maps with channels innermost: convolutions run up to twice as fast, equal to 1e-6."""
    if state.hidden.ndim != 4 or not state.hidden.is_floating_point():
        return state
    return State(state.hidden.contiguous(memory_format=torch.channels_last), state.context, state.taps)
