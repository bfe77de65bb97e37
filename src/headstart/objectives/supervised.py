"""The plain objective: the task's own loss on labelled examples, nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from headstart.contracts.objective import Step
from headstart.kernel.settings import Settings


class Supervised(Settings):
    """The task loss."""

    streams: ClassVar[tuple[str, ...]] = ("labelled",)

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

    def combine(self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> Tensor:  # noqa: ARG002
        """The sum ()."""
        return sum(losses.values(), start=next(iter(losses.values())).new_zeros(()))

    def after_step(self, step: Step) -> None:
        """Nothing to do."""
