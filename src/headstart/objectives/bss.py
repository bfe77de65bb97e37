"""BSS: the smallest singular values of a batch's features are pressed down, for they are what transfers worst.

Chen, Wang, Fu, Long & Wang 2019 ("Catastrophic forgetting meets negative transfer: batch spectral shrinkage for safe
transfer learning"), with sigma_1 >= ... >= sigma_b the singular values of the features (batch, width):

    loss = task loss + weight * sum over the `count` smallest of sigma_i^2
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from headstart.contracts.objective import SOURCE, Objective, Step


class BSS(Objective):
    """The task loss, and the smallest singular values of the features."""

    gathers: ClassVar[bool] = True

    weight: float = Field(default=1e-3, gt=0)
    """Of the squared singular values; > 0."""
    count: int = Field(default=1, ge=1)
    """Singular values that are pressed down; >= 1."""

    def first_stage(self, stages: int) -> int:
        """A stage must move."""
        return stages - 1

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "shrinkage", each a scalar ()."""
        batch = step.batches[SOURCE]
        features = step.features(batch)
        values = torch.linalg.svdvals(step.gathered(features.pooled))
        shrinkage = self.weight * values[-self.count :].square().sum()
        return {**step.task_losses(step.outputs(features, batch), batch), "shrinkage": shrinkage}
