"""Objective: what is optimised beside the task loss, over one or several streams of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor, nn

from headstart.contracts.carriers import Batch, Features


@dataclass(frozen=True)
class Step:
    """One step of training as an objective sees it."""

    batches: Mapping[str, Batch]
    """Stream name -> batch."""
    features: Callable[[Batch], Features]
    """Runs the moving part of the backbone on a batch."""
    outputs: Callable[[Features, Batch], Mapping[str, Tensor]]
    """Runs the task's head."""
    task_losses: Callable[[Mapping[str, Tensor], Batch], Mapping[str, Tensor]]
    """The task's named loss terms."""
    additions: nn.ModuleDict
    """The modules that the objective asked for."""
    progress: float
    """Share of the training that lies behind, in [0, 1)."""


class Objective(Protocol):
    """What a file in `objectives/` offers."""

    streams: ClassVar[tuple[str, ...]]
    """The streams it draws a batch from in every step; the first one is 'labelled' unless it needs no labels."""

    def first_stage(self, stages: int) -> int:
        """The first backbone stage it must reach to do anything; `stages` when a head is enough."""
        ...

    def additions(self, width: int) -> Mapping[str, nn.Module]:
        """Modules to train beside the head, by name."""
        ...

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """Named scalar terms of one step."""
        ...

    def combine(self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> Tensor | None:
        """The scalar whose backward the loop runs; None when the objective filled the gradients itself."""
        ...

    def after_step(self, step: Step) -> None:
        """Runs after each optimiser step: moving averages, queues."""
        ...
