"""LP-FT: the linear probe first, then everything from that head on, at a low rate.

Kumar et al. 2022 ("Fine-tuning can distort pretrained features and underperform out-of-distribution"): while a random
head is still being learnt, its gradients bend features that were good. So the head starts as the task's own solver
finds it on the frozen features, BatchNorm keeps its statistics, and head and backbone move at one low rate. A head that
is not a linear one, such as a segmenter's decoder, cannot be solved for: it then trains alone for a first share.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from headstart.contracts.advice import Advice, DataFacts, Suggestion
from headstart.contracts.network import Network
from headstart.contracts.tuning import Rate, Recipe, TrainingStart
from headstart.tuning._last_stages import require_stages

SHARE = 0.25
"""Of the stages, that a search moves beside all of them."""

FEW = 300
"""Examples up to which all stages come first: their epochs are short, and moving all of them a little reads more right
than moving the last ones alone."""


def _tries(facts: DataFacts) -> tuple[Suggestion, ...]:
    """All stages and the last ones alone, where the head can be solved for; of many examples the cheaper first."""
    if not facts.linear:
        return ()
    some = max(1, round(SHARE * facts.stages))
    begins = "training begins where the probe ends"
    cheap, whole = (1, 0) if facts.examples <= FEW else (0, 1)
    part = Suggestion(cheap, f"{begins}, and the frozen stages run once", {"last": some})
    return (Suggestion(whole, begins), part) if some < facts.stages else (Suggestion(whole, begins),)


class LpFt(Recipe):
    """Everything, from the solved head on."""

    advice: ClassVar[Advice] = Advice(_tries)
    head: ClassVar[Literal["fresh", "solved"]] = "solved"

    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak rate of the backbone and of a solved head; > 0."""
    head_learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of a head that could not be solved for; > 0."""
    last: int | None = Field(default=None, ge=1)
    """How many stages move, counted from the end; >= 1; by default all. Stages before them run only once."""
    head_alone: float = Field(default=0.3, ge=0, lt=1)
    """Share of the training in which a head that could not be solved for trains alone; in [0, 1)."""

    def check(self, backbone: Network) -> None:
        """Raises SettingsError when more stages are to move than there are."""
        require_stages(backbone, self.last)

    def first_stage(self, stages: int) -> int:
        """The first that moves."""
        return stages - (self.last or stages)

    def settled(self, rates: tuple[Rate, ...], training_start: TrainingStart) -> tuple[Rate, ...]:
        """A head that is learnt moves at the backbone's rate; before any other the stages wait."""
        head, *moving = rates
        if training_start.head_learnt:
            return replace(head, factor=self.learning_rate / self.head_learning_rate), *moving
        return head, *(replace(rate, start=self.head_alone) for rate in moving)
