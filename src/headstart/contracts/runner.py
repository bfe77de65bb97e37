"""Runner: how a frozen segment is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import nn

from headstart.contracts.carriers import State

Execute = Callable[[State], State]
"""Runs a frozen segment without gradients; takes and returns states on the CPU."""


class Runner(Protocol):
    """What a file in `runners/` offers."""

    @property
    def precision(self) -> str:
        """'float32', 'bfloat16': decides with how many bits its outputs are stored."""
        ...

    def start(self, segment: nn.Module, example: State, device: Any) -> Execute:
        """Make the segment ready to run; `example` is a real prepared batch for shapes."""
        ...
