"""Gradual unfreezing: the head moves first, then one stage after the other, from the last down to the first.

Howard & Ruder 2018 ("Universal language model fine-tuning for text classification", section 3.3): moving everything
at once makes a network forget what it was pretrained for, so a further layer is unfrozen after each epoch, the last
ones first, each lower one at a lower rate. Here, with n stages, the k-th from the end begins after a share k/n of
`unfrozen_by`, whatever the number of epochs; BatchNorm and dropout of a stage rest until it begins. The paper's rates
fall by 1/2.6 from one of its 4 groups of layers to the next; over the more stages here they fall more slowly.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from headstart.contracts.tuning import Rate, Recipe


class Gradual(Recipe):
    """Everything, the last stages first."""

    unfrozen_by: float = Field(default=0.5, gt=0, lt=1)
    """Share of the training after which the first stage begins to move too; in (0, 1)."""
    stage_decay: float = Field(default=0.9, gt=0, le=1)
    """Each stage's rate as a share of that of the stage above it, the last stage having the full one; in (0, 1]."""

    def rates(self, stages: int) -> tuple[Rate, ...]:
        """The head at once, each stage from its own time on."""
        head, *moving = super().rates(stages)
        return head, *(replace(rate, start=self.unfrozen_by * (stages - rate.stage) / stages) for rate in moving)
