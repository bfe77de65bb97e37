"""Uncertainty: the losses of several tasks, each weighed by a noise level that is learnt along.

Kendall et al. 2018, "Multi-task learning using uncertainty to weigh losses for scene geometry and semantics": with a
learnt s_t = log of the squared noise of task t,

    loss = sum over tasks of L_t / (2 exp(s_t)) + s_t / 2

The paper has 1 / exp(s_t) before the loss of classes and 1 / (2 exp(s_t)) before that of numbers; here, as in most
implementations since, the latter stands before all. At the start every s_t is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from headstart.contracts.objective import SOURCE, Objective, Step

NOISE = "task_noise"


class LogNoise(nn.Module):
    """The logarithm s (tasks,) of each task's squared noise."""

    def __init__(self, tasks: int) -> None:
        """All are 0."""
        super().__init__()
        self.values = nn.Parameter(torch.zeros(tasks))


class Uncertainty(Objective):
    """The tasks' losses, weighed by learnt noise."""

    of_tasks: ClassVar[bool] = True

    def first_stage(self, stages: int) -> int:
        """A stage must move: heads alone share nothing."""
        return stages - 1

    def beside_tasks(self, names: Sequence[str]) -> Mapping[str, nn.Module]:
        """A noise level for each task."""
        return {NOISE: LogNoise(len(names))}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """A term () for each task, by its name."""
        batch = step.batches[SOURCE]
        found = step.task_losses(step.outputs(step.features(batch), batch), batch)
        noise = step.additions[NOISE].get_parameter("values")
        return {name: loss / (2 * s.exp()) + s / 2 for (name, loss), s in zip(found.items(), noise, strict=True)}
