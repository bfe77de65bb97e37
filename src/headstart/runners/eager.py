"""Eager: plain PyTorch in full precision. Slow, always right: what every other runner is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from headstart.contracts.carriers import State
from headstart.contracts.runner import Execute
from headstart.kernel.settings import Settings
from headstart.runners._torch_execution import Execution, numbers_of_threads, on_device


class Eager(Settings):
    """Runs a segment as it stands, in float32 and evaluation mode."""

    threads: int = Field(0, ge=0)
    """PyTorch's threads for each piece of a batch, up to 4 of which run at once; 0 for the whole batch on all of its
    threads."""

    plain: ClassVar[bool] = True

    @property
    def precision(self) -> str:
        """'float32'"""
        return "float32"

    @classmethod
    def variants(cls, device: Any) -> Sequence[Eager]:
        """Itself, everywhere: on the CPU with few threads for each piece of a batch, then with all for the whole."""
        return tuple(cls(threads=number) for number in numbers_of_threads(device))

    def setup_seconds(self, device: Any) -> float:  # noqa: ARG002
        """0: there is nothing to set up."""
        return 0.0

    def start(self, segment: nn.Module, example: State, device: Any, key: str | None = None) -> Execute:  # noqa: ARG002
        """Move the segment's live modules to `device` and to evaluation mode."""
        return Execution(on_device(segment, device), device, threads=self.threads)
