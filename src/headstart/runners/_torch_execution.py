"""A segment run by PyTorch itself, in float32 or, under autocast, with its large products in bfloat16.

Pictures and maps lie with channels innermost: convolutions run up to twice as fast, equal to 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.backends import cudnn

from headstart.contracts.carriers import State
from headstart.kernel.processor import cores

MOST_AT_ONCE = 4
"""Pieces of a batch that run side by side on the CPU."""


def has_bfloat16(device: torch.device) -> bool:
    """Return whether PyTorch has kernels in bfloat16 for the device; what they gain is measured."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known = device.type == "cpu" and torch.backends.mkldnn.is_available()
    return known and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def numbers_of_threads(device: torch.device) -> tuple[int, ...]:
    """Threads for each piece of a batch that are worth trying, as in the setting `threads` of a runner, the usually
    fastest first.

    Pieces side by side wait for nothing, where the threads of a whole batch wait for each other in every layer: on two
    cores the former are up to twice as fast, and many times where other programs take the cores in between.
    """
    all_of_them = torch.get_num_threads()
    if device.type != "cpu" or all_of_them == 1 or not torch.backends.openmp.is_available():
        return (0,)
    return (all_of_them // min(all_of_them, MOST_AT_ONCE), 0)


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
    threads: int = 0
    """For each piece of a batch; 0 for the whole on all that PyTorch has."""
    usual_threads: int = field(default_factory=torch.get_num_threads)

    @property
    def at_once(self) -> int:
        """As many pieces as there are cores for, up to `MOST_AT_ONCE`."""
        return max(1, min(cores() // self.threads, MOST_AT_ONCE)) if self.threads else 1

    def __call__(self, state: State) -> State:
        """Run a batch without gradients."""
        halved = torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()
        # TensorFloat-32, cuDNN's default, would round the products of convolutions to 10 bits; flags are the process's
        exact = cudnn.flags(enabled=True, allow_tf32=False) if self.device.type == "cuda" else nullcontext()
        with torch.inference_mode(), exact, halved, self._on_its_threads():
            return self.segment(_channels_last(state.to(self.device))).map(_single)

    @contextmanager
    def _on_its_threads(self) -> Iterator[None]:
        if not self.threads:
            yield
            return
        torch.get_num_threads()  # a new thread takes over the process's number at its first question or product
        torch.set_num_threads(self.threads)  # of the thread that calls, and of those that begin meanwhile
        try:
            yield
        finally:
            torch.set_num_threads(self.usual_threads)


def _channels_last(state: State) -> State:
    """The same state, in another order in memory; pixels as bytes lie that way already."""
    if state.hidden.ndim != 4 or not state.hidden.is_floating_point():
        return state
    return State(state.hidden.contiguous(memory_format=torch.channels_last), state.context, state.taps)


def _single(value: Tensor) -> Tensor:
    return value.to("cpu", torch.float32) if value.is_floating_point() else value.cpu()
