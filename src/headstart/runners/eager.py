"""Eager: plain PyTorch in full precision. Slow, always right: what every other runner is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import nn

from headstart.contracts.carriers import State
from headstart.contracts.runner import Execute
from headstart.kernel.settings import Settings
from headstart.runners._torch_execution import Execution, on_device


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

    def start(self, segment: nn.Module, example: State, device: Any, key: str | None = None) -> Execute:  # noqa: ARG002
        """Move the segment's live modules to `device` and to evaluation mode."""
        return Execution(on_device(segment, device), device)
