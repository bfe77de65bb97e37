"""PyTorch in bfloat16: autocast around a segment, channels innermost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headstart.contracts.carriers import State
from headstart.runners._channels_last import channels_last


def has_bfloat16(device: Any) -> bool:
    """Whether the device multiplies bfloat16 natively."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@dataclass(frozen=True)
class HalfExecution:
    """A segment under autocast on its device; what comes out is float32."""

    segment: Callable[[State], State]
    device: Any
    half: bool
    at_once: int = 1

    def __call__(self, state: State) -> State:
        """Run a batch without gradients."""
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return _single(self.segment(channels_last(state.to(self.device))))


def _single(state: State) -> State:
    """On the CPU, in single precision."""

    def single(value: Tensor) -> Tensor:
        return value.to("cpu", torch.float32) if value.is_floating_point() else value.cpu()

    return State(
        single(state.hidden),
        {name: single(value) for name, value in state.context.items()},
        {name: single(value) for name, value in state.taps.items()},
    )
