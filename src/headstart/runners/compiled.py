"""Compiled: torch.compile, which fuses what lies between the large products; for GPUs, and CPUs where it pays.

Compiling takes the better part of a minute and needs a C++ compiler on the CPU, Triton on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.runner import CannotRun, Execute
from headstart.kernel.settings import Settings
from headstart.runners._torch_execution import Execution, has_bfloat16, on_device

RECOMPILATIONS = 64
"""How often one function may be compiled anew in a process: every segment passes through the same one, and beyond its
usual 8 PyTorch would go on uncompiled without a word."""


class Compiled(Settings):
    """Runs a segment through torch.compile, in bfloat16 where the device computes in it."""

    backend: str = "inductor"
    """What torch.compile hands the graph to; `torch.compiler.list_backends()` names them."""
    half: bool = True
    """Whether to compute in bfloat16; float32 otherwise."""

    plain: ClassVar[bool] = False

    @property
    def precision(self) -> str:
        """'bfloat16' or 'float32'"""
        return "bfloat16" if self.half else "float32"

    @classmethod
    def variants(cls, device: Any) -> Sequence[Compiled]:
        """In bfloat16 where the device has it, then in float32."""
        return (*((cls(),) if has_bfloat16(device) else ()), cls(half=False))

    def setup_seconds(self, device: Any) -> float:
        """Compiling, for one size of batch and then for any."""
        return 60.0 if device.type == "cpu" else 40.0

    def start(self, segment: nn.Module, example: State, device: Any, key: str | None = None) -> Execute:  # noqa: ARG002
        """Compile the segment by running the example.

        Raises:
            CannotRun: there is no compiler, the graph cannot be compiled, or the device lacks bfloat16.
        """
        if self.half and not has_bfloat16(device):
            raise CannotRun(f"{device} does not compute in bfloat16")
        segment = on_device(segment, device)
        config = torch._dynamo.config
        config.cache_size_limit = max(config.cache_size_limit, RECOMPILATIONS)
        try:
            compiled = _OfAnySize(torch.compile(segment, backend=self.backend))
            execute = Execution(compiled, device, self.half)
            execute(example)
        except Exception as error:  # compilers fail in ways of their own
            cause = getattr(error, "inner_exception", error)
            reason = str(cause).strip().splitlines()
            raise CannotRun(f"torch.compile fails: {reason[0] if reason else type(cause).__name__}") from error
        return execute


@dataclass(frozen=True)
class _OfAnySize:
    """A compiled segment for batches of any size and texts of any length; pictures are compiled at their size.

    With every axis free, as `dynamic=True` has it, a MobileNetV2 compiles for a quarter of an hour.
    """

    compiled: Callable[[State], State]

    def __call__(self, state: State) -> State:
        """Run a batch."""
        free = 2 if LENGTH_MASK in state.context else 1
        for value in state.tensors().values():
            for axis in range(min(free, value.ndim)):
                torch._dynamo.maybe_mark_dynamic(value, axis)
        return self.compiled(state)
