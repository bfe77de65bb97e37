"""Co-Tuning: the old head learns along, by labels of the old classes that go with the class of each new example.

You, Kou, Long & Wang 2020 ("Co-Tuning for transfer learning"). With p(y_s | y_t) how the old classes are spread over
the examples of a new class, and q the old head's probabilities,

    loss = task loss + weight * mean over examples of -sum_s p(y_s | y_t) log q_s

The relation is the paper's direct one: the mean of what the pretrained network's old head says of the examples of a
class. It is summed up from batch to batch, so that it covers the training data from the second epoch on; the paper
finds it beforehand, calibrates the head first, and has a second way by a regression in the other direction.
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
from headstart.objectives._running import Running, running
from headstart.objectives._source_head import source_head, source_logits


class CoTuning(Objective):
    """The task loss, and the old head's on old classes that are related to the new ones."""

    anchored: ClassVar[bool] = True
    of_classes: ClassVar[bool] = True
    gathers: ClassVar[bool] = True

    weight: float = Field(default=2.3, gt=0)
    """Of the old head's loss, 2.3 as the authors have it for ImageNet; > 0."""

    def first_stage(self, stages: int) -> int:
        """A stage must move."""
        return stages - 1

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The old head, and what it was."""
        (old,) = source_head(backbone).values()
        return {**source_head(backbone), "old_head": old.requires_grad_(False)}

    def between(self, backbone: Network, outputs: int) -> Mapping[str, nn.Module]:
        """Sums of the old head's probabilities, (classes, old classes), and the examples of each class, (classes,)."""
        old = 0 if backbone.source_head is None else backbone.source_head.out_features
        return {"running": Running({"sums": torch.zeros(outputs, old), "counts": torch.zeros(outputs)})}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "related", each a scalar ()."""
        batch = step.batches[SOURCE]
        labels = batch.targets["label"]
        with torch.no_grad():
            before = step.additions["old_head"](pretrained_features(step, batch).pooled).softmax(dim=1)
        relation = self._relation(step, step.gathered(before), step.gathered(labels.float()).long())
        features = step.features(batch)
        found = source_logits(step, features.pooled).log_softmax(dim=1)
        related = self.weight * -(relation[labels].to(found.dtype) * found).sum(dim=1).mean()
        return {**step.task_losses(step.outputs(features, batch), batch), "related": related}

    def _relation(self, step: Step, before: Tensor, labels: Tensor) -> Tensor:
        """(classes, old classes), rows of sum 1 where a class was seen."""
        kept = running(step)
        sums, counts = kept.get_buffer("sums"), kept.get_buffer("counts")
        sums = sums.index_add(0, labels, before.to(sums.dtype))
        counts = counts.index_add(0, labels, torch.ones_like(labels, dtype=counts.dtype))
        kept.propose({"sums": sums, "counts": counts})
        return sums / counts.clamp(min=1)[:, None]

    def after_step(self, step: Step) -> None:
        """Keep the sums."""
        running(step).keep()
