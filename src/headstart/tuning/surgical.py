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

from headstart.contracts.advice import Advice, DataFacts, Suggestion
from headstart.contracts.tuning import Rate, Recipe, TrainingStart

FEW = 1000
"""Training examples below which a search tries it."""


def _tries(facts: DataFacts) -> tuple[Suggestion, ...]:
    """With few examples: the gain vanishes as they grow."""
    return (Suggestion(4, "few examples tell which stages must move"),) if facts.examples < FEW else ()


class Surgical(Recipe):
    """Everything, each stage at a rate by its relative gradient."""

    advice: ClassVar[Advice] = Advice(_tries)
    head: ClassVar[Literal["fresh", "solved"]] = "solved"

    def settled(self, rates: tuple[Rate, ...], training_start: TrainingStart) -> tuple[Rate, ...]:
        """The stages' rates times RGN / max RGN; unchanged where no gradient reaches any of them."""
        measured = training_start.relative_gradients()
        most = max(measured)
        if not most:
            return rates
        head, *moving = rates
        return head, *(replace(rate, factor=rate.factor * measured[rate.stage] / most) for rate in moving)
