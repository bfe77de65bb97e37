"""Objective: what is optimised beside the task loss, over one or several streams of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from torch import Tensor, nn

from headstart.contracts.carriers import Batch, Features
from headstart.kernel.settings import Settings


@dataclass(frozen=True)
class Step:
    """One step of training as an objective sees it."""

    batches: Mapping[str, Batch]
    """Stream name -> batch; a part of it where the whole does not fit into the memory at once."""
    features: Callable[[Batch], Features]
    """Runs the moving part of the backbone on a batch; float32 in any precision of the training."""
    outputs: Callable[[Features, Batch], Mapping[str, Tensor]]
    """Runs the task's head."""
    task_losses: Callable[[Mapping[str, Tensor], Batch], Mapping[str, Tensor]]
    """The task's named loss terms."""
    additions: nn.ModuleDict
    """The modules that the objective asked for."""
    progress: float
    """Share of the training that lies behind, in [0, 1)."""
    parameters: Mapping[str, nn.Parameter] = field(default_factory=dict)
    """What moves, by name: 'backbone.NAME', 'heads.NAME', 'additions.NAME'."""
    start: Mapping[str, Tensor] = field(default_factory=dict)
    """The values that `parameters` had when the training began, where the objective is anchored."""


class Objective(Protocol):
    """What a file in `objectives/` offers."""

    streams: ClassVar[tuple[str, ...]]
    """The streams it draws a batch from in every step; the first one is 'labelled' unless it needs no labels."""
    anchored: ClassVar[bool]
    """Whether it holds weights to their pretrained values; refused where training starts from others."""

    def first_stage(self, stages: int) -> int:
        """The first backbone stage it must reach to do anything; `stages` when a head is enough."""
        ...

    def additions(self, width: int) -> Mapping[str, nn.Module]:
        """Modules to train beside the head, by name."""
        ...

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """Named scalar terms of one step, each a mean over the examples of its batches."""
        ...

    def combine(self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> Tensor | None:
        """The scalar whose backward the loop runs; None when the objective filled the gradients itself."""
        ...

    def after_step(self, step: Step) -> None:
        """Runs after each optimiser step, on the whole batches: moving averages, queues."""
        ...


class PlainObjective(Settings):
    """What most objectives are: terms beside the task's own on labelled examples, all of them added up."""

    streams: ClassVar[tuple[str, ...]] = ("labelled",)
    anchored: ClassVar[bool] = False

    def first_stage(self, stages: int) -> int:
        """A head is enough."""
        return stages

    def additions(self, width: int) -> Mapping[str, nn.Module]:  # noqa: ARG002
        """None."""
        return {}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms on the labelled batch, each a scalar ()."""
        batch = step.batches["labelled"]
        return step.task_losses(step.outputs(step.features(batch), batch), batch)

    def combine(self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> Tensor | None:  # noqa: ARG002
        """The sum ()."""
        return sum(losses.values(), start=next(iter(losses.values())).new_zeros(()))

    def after_step(self, step: Step) -> None:
        """Nothing to do."""
