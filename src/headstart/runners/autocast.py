"""Autocast: plain PyTorch with its matrix products and convolutions in bfloat16, where the device computes in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun, Execute
from headstart.kernel.settings import Settings
from headstart.runners._torch_execution import Execution, has_bfloat16, numbers_of_threads, on_device


class Autocast(Settings):
    """Runs a segment as it stands, in bfloat16 and evaluation mode."""

    threads: int = Field(0, ge=0)
    """PyTorch's threads for each piece of a batch, up to 4 of which run at once; 0 for the whole batch on all of its
    threads."""

    plain: ClassVar[bool] = False

    @property
    def precision(self) -> str:
        """'bfloat16'"""
        return "bfloat16"

    @classmethod
    def variants(cls, device: Any) -> Sequence[Autocast]:
        """Itself, where the device computes in bfloat16, with numbers of threads as of `Eager.variants`."""
        return tuple(cls(threads=number) for number in numbers_of_threads(device)) if has_bfloat16(device) else ()

    def setup_seconds(self, device: Any) -> float:  # noqa: ARG002
        """The first batches, in which kernels are chosen."""
        return 0.5

    def start(self, segment: nn.Module, example: State, device: Any, key: str | None = None) -> Execute:  # noqa: ARG002
        """Move the segment's live modules to `device` and to evaluation mode. Raises CannotRun without bfloat16."""
        if not has_bfloat16(device):
            raise CannotRun(f"{device} does not compute in bfloat16")
        return Execution(on_device(segment, device), device, half=True, threads=self.threads)
