"""LwF: on the new data the head of the old task goes on to answer as the pretrained network does.

Li & Hoiem 2016 ("Learning without forgetting"). With p and p* the answers of the old head to an example of the new
data, now and before the training, softened by the temperature T:

    loss = task loss + weight * T^2 * mean KL(p* || p)

T^2 keeps gradients of a size whatever T is (Hinton et al. 2015). The old head trains along. The paper warms the new
head up first; tunings that begin with the probe's head do as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.network import Network
from headstart.contracts.objective import SOURCE, Objective, Step
from headstart.objectives._pretrained import pretrained_features
from headstart.objectives._source_head import source_head, source_logits


class LwF(Objective):
    """The task loss, and the old head's answers held to what they were."""

    anchored: ClassVar[bool] = True

    weight: float = Field(default=1.0, gt=0)
    """Of the old answers; > 0."""
    temperature: float = Field(default=2.0, gt=0)
    """By which answers are softened; > 0."""

    def first_stage(self, stages: int) -> int:
        """A stage must move."""
        return stages - 1

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The old head, and what it was."""
        return {**source_head(backbone), "old_head": _still(source_head(backbone))}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "old_answers", each a scalar ()."""
        batch = step.batches[SOURCE]
        with torch.no_grad():
            old = step.additions["old_head"](pretrained_features(step, batch).pooled)
        features = step.features(batch)
        now = source_logits(step, features.pooled)
        apart = nn.functional.kl_div(
            (now / self.temperature).log_softmax(dim=1),
            (old / self.temperature).log_softmax(dim=1),
            reduction="batchmean",
            log_target=True,
        )
        kept = self.weight * self.temperature**2 * apart
        return {**step.task_losses(step.outputs(features, batch), batch), "old_answers": kept}


def _still(head: Mapping[str, nn.Module]) -> nn.Module:
    (found,) = head.values()
    return found.requires_grad_(False)
