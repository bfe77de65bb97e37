"""Eager: plain PyTorch in full precision. Slow, always right: what every other runner is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.backends import cudnn

from headstart.contracts.carriers import State
from headstart.kernel.settings import Settings
from headstart.runners._channels_last import channels_last, on_device


class Eager(Settings):
    """Runs a segment as it stands, in float32 and evaluation mode."""

    plain: ClassVar[bool] = True

    @property
    def precision(self) -> str:
        """'float32'"""
        return "float32"

    @classmethod
    def variants(cls, device: Any) -> Sequence[Eager]:  # noqa: ARG003
        """Itself, everywhere."""
        return (cls(),)

    def setup_seconds(self, device: Any) -> float:  # noqa: ARG002
        """0: there is nothing to set up."""
        return 0.0

    def start(self, segment: nn.Module, example: State, device: Any, key: str | None = None) -> Execution:  # noqa: ARG002
        """Move the segment's live modules to `device` and to evaluation mode."""
        return Execution(on_device(segment, device), device)


@dataclass(frozen=True)
class Execution:
    """A segment on its device."""

    segment: nn.Module
    device: Any
    at_once: int = 1

    def __call__(self, state: State) -> State:
        """Run a batch without gradients."""
        # TensorFloat-32, cuDNN's default, would round the products of convolutions to 10 bits
        with torch.inference_mode(), cudnn.flags(enabled=True, allow_tf32=False):
            result: State = self.segment(channels_last(state.to(self.device)))
            return result.to("cpu")
