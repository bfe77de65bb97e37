"""Surgical fine-tuning by Auto-RGN: the stages that the new data pull at most move most.

Lee et al. 2023 ("Surgical fine-tuning improves adaptation to distribution shifts", section 4): a stage's rate is the
full one times RGN / max RGN, where RGN = ||g|| / ||w||, its gradient's norm beside its weights', the mean over some
training batches. The paper has a rate per layer and measures before each epoch; here there is one per stage, measured
once before the first step, so that a resumed training has the same. The paper's model comes with its trained head;
here the head of the task's solver stands for it where the task's head has that form.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from headstart.contracts.tuning import DataFacts, Rate, Recipe, Suggestion, TrainingStart

FEW = 1000
"""Training examples below which a search tries it."""


class Surgical(Recipe):
    """Everything, each stage at a rate by its relative gradient."""

    start: ClassVar[str] = "pretrained"
    solved: ClassVar[bool] = False
    head: ClassVar[Literal["fresh", "solved"]] = "solved"

    renew_statistics: bool = False
    """Whether BatchNorm normalises by the batch; False keeps the pretrained statistics, which few examples spoil."""

    @classmethod
    def tries(cls, facts: DataFacts) -> tuple[Suggestion, ...]:
        """With few examples: the gain vanishes as they grow."""
        return (Suggestion(4, "few examples tell which stages must move"),) if facts.examples < FEW else ()

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """All stages move, if some of them hardly."""
        return 0

    def rates(self, stages: int) -> tuple[Rate, ...]:
        """The head and every stage."""
        return self.rates_from(0, stages)

    def settled(self, rates: tuple[Rate, ...], training_start: TrainingStart) -> tuple[Rate, ...]:
        """The stages' rates times RGN / max RGN; unchanged where no gradient reaches any of them."""
        measured = training_start.relative_gradients()
        most = max(measured)
        if not most:
            return rates
        head, *moving = rates
        return head, *(replace(rate, factor=rate.factor * measured[rate.stage] / most) for rate in moving)
