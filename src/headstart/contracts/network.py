"""Network: a pretrained network cut into stages, as tunings and objectives see it.

Boundary k lies before stage k: boundary 0 is the prepared input, boundary `len(stages)` the end. `segment(start, stop)`
runs stages start..stop-1. `contracts/backbone.py` adds reading of inputs, saving and capabilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from headstart.contracts.carriers import State, Tap
from headstart.contracts.features import Features
from headstart.kernel.settings import Settings


@dataclass(frozen=True)
class Stage:
    """A run of layers between two boundaries."""

    name: str
    parameters: tuple[str, ...]
    """Names in `Network.module.named_parameters()`; every parameter belongs to exactly one stage."""
    buffers: tuple[str, ...] = ()
    """Names in `Network.module.named_buffers()`: what BatchNorm keeps."""
    modules: tuple[str, ...] = ()
    """Names in `Network.module.named_modules()` of the stage's outermost modules: what eval mode is set on."""


class Network(ABC):
    """Live modules in an ordered list of stages."""

    name: str
    """What the user called it."""
    module: nn.Module
    """Every weight, live: segments share its modules."""
    stages: tuple[Stage, ...]
    """In order; at least one."""
    width: int
    """Width of the pooled features."""

    source_head: nn.Linear | None = None
    """The head that it was trained with before, on its features (batch, width); None where it is not known."""

    @abstractmethod
    def prepare(self, raws: Sequence[Any]) -> State:
        """Decode and preprocess inputs to the state at boundary 0, of one shape, on the CPU or where they were decoded.

        Raises:
            DataError: an input cannot be read; the message names the reason, not the file.
        """

    @abstractmethod
    def preparation(self) -> Mapping[str, Any]:
        """Everything that decides what `prepare` returns, decode policy included, as JSON values."""

    @abstractmethod
    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """A module `State -> State` of stages start..stop-1, sharing the live weights.

        In evaluation mode several threads may call it at once.
        Taps may name any boundary inside or at the end of the segment.
        """

    @abstractmethod
    def features(self, state: State) -> Features:
        """The state at the last boundary as features. Differentiable; its weights belong to the last stage."""

    def input_kind(self) -> Settings | None:
        """The meaning of the numbers at boundary 0, see `contracts/inputs.py`; None for neither pixels nor tokens."""
        return None
