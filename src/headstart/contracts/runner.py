"""Runner: how a frozen segment is executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from torch import nn

from headstart.contracts.carriers import State
from headstart.kernel.contract import contract
from headstart.kernel.errors import BackboneError


class CannotRun(BackboneError):
    """A runner does not take this segment or this device; the message says why."""


class Execute(Protocol):
    """A started segment: runs without gradients, takes and returns states on the CPU."""

    @property
    def at_once(self) -> int:
        """Calls, each from a thread of its own with a piece of a batch, that keep the device busy; >= 1. More are not
        allowed."""
        ...

    def __call__(self, state: State) -> State:
        """Run a batch."""
        ...


@contract("runners")
class Runner(Protocol):
    """The contract of a file in `runners/`."""

    plain: ClassVar[bool]
    """Whether it is plain PyTorch in float32: what others are held against, and what is left when all others fail."""

    @property
    def precision(self) -> str:
        """'float32', 'bfloat16', 'int8': decides with how many bits its outputs are stored."""
        ...

    @classmethod
    def variants(cls, device: Any) -> Sequence[Runner]:
        """Itself with the settings worth trying on this machine, those first that are usually fastest; none where it
        cannot run. The first precision that is right is taken; its other variants are measured where a pass is long."""
        ...

    def setup_seconds(self, device: Any) -> float:
        """About how long `start` takes for a model of usual size: it is tried where a pass takes several times that."""
        ...

    def start(self, segment: nn.Module, example: State, device: Any, key: str | None = None) -> Execute:
        """Make the segment ready to run.

        Args:
            segment: `State -> State`; it shares the live weights, which stay as they are.
            example: a real prepared batch, for shapes and types. Others may have another size and length.
            device: a torch device.
            key: names the segment with its weights, the machine and the libraries' versions: what was compiled may be
                kept under it. None: keep nothing.

        Raises:
            CannotRun: the segment cannot be run this way.
        """
        ...
