"""A segment run by PyTorch itself, in float32 or, under autocast, with its large products in bfloat16.

Pictures and maps lie with channels innermost: convolutions run up to twice as fast, equal to 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.backends import cudnn

from headstart.contracts.carriers import State


def has_bfloat16(device: torch.device) -> bool:
    """Return whether PyTorch has kernels in bfloat16 for the device; what they gain is measured."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known = device.type == "cpu" and torch.backends.mkldnn.is_available()
    return known and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def on_device(segment: nn.Module, device: torch.device) -> nn.Module:
    """The segment in evaluation mode, its live weights on the device, those of convolutions with channels innermost."""
    segment.to(device).to(memory_format=torch.channels_last)
    return segment.eval()


@dataclass(frozen=True)
class Execution:
    """A segment on its device; what comes out is float32."""

    segment: Callable[[State], State]
    device: torch.device
    half: bool = False
    """Whether to compute in bfloat16 where that is precise enough."""
    at_once: int = 1

    def __call__(self, state: State) -> State:
        """Run a batch without gradients."""
        halved = torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()
        # TensorFloat-32, cuDNN's default, would round the products of convolutions to 10 bits
        with torch.inference_mode(), cudnn.flags(enabled=True, allow_tf32=False), halved:
            return self.segment(_channels_last(state.to(self.device))).map(_single)


def _channels_last(state: State) -> State:
    """The same state, in another order in memory; pixels as bytes lie that way already."""
    if state.hidden.ndim != 4 or not state.hidden.is_floating_point():
        return state
    return State(state.hidden.contiguous(memory_format=torch.channels_last), state.context, state.taps)


def _single(value: Tensor) -> Tensor:
    return value.to("cpu", torch.float32) if value.is_floating_point() else value.cpu()
