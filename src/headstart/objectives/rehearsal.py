"""Rehearsal: every batch has some examples of the old data beside those of the new, and the old head their labels.

Robins 1995 ("Catastrophic forgetting, rehearsal and pseudorehearsal"); with a small sample of the old data, as
Chaudhry et al. 2019 have it ("On tiny episodic memories in continual learning"):

    loss = task loss + weight * mean cross-entropy of the old head on old examples

The old data are those of the run that is the backbone: a sample of its training part, drawn once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.network import Network
from headstart.contracts.objective import KEPT, SOURCE, Objective, Step
from headstart.objectives._source_head import source_head, source_logits


class Rehearsal(Objective):
    """The task loss on the new data, and the old head's on a sample of the old."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE, KEPT)
    anchored: ClassVar[bool] = True
    gathers: ClassVar[bool] = True

    weight: float = Field(default=1.0, gt=0)
    """Of the old examples; > 0."""
    kept: int = Field(default=500, ge=1)
    """Old training examples that are drawn from; >= 1."""

    def first_stage(self, stages: int) -> int:
        """A stage must move."""
        return stages - 1

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The old head."""
        return source_head(backbone)

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """The task's terms, and "old_examples", each a scalar ()."""
        old = step.batches[KEPT]
        logits = step.gathered(source_logits(step, step.features(old).pooled))
        labels = step.gathered(old.targets["label"].float()).long()
        again = self.weight * nn.functional.cross_entropy(logits, labels)
        return {**super().losses(step), "old_examples": again}
