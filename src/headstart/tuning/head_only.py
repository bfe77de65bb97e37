"""Training the head by steps on a frozen backbone: what the linear probe is for heads that nobody can solve for.

The backbone runs once and its features are kept, so that an epoch costs the head alone: a segmenter's decoder on stored
maps, a tagger's on stored tokens. Kornblith et al. 2019 ("Do better ImageNet models transfer better?") call it training
on fixed features.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headstart.contracts.advice import Advice, DataFacts, Suggestion
from headstart.contracts.tuning import Recipe


def _tries(facts: DataFacts) -> tuple[Suggestion, ...]:
    """Where the head cannot be solved for."""
    return (
        () if facts.linear else (Suggestion(0, "the task's head on frozen features, of which none can be solved for"),)
    )


class HeadOnly(Recipe):
    """The head, from features that stay as they are."""

    advice: ClassVar[Advice] = Advice(_tries)

    epochs: int = Field(default=40, ge=1)
    """Passes over the training data at most; where not given, more over few, for about 400 steps, up to 100; >= 1."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Of the backbone, nothing of which moves: the head's own is `head_learning_rate`; > 0."""
    stage_decay: float = Field(default=1.0, gt=0, le=1)
    """Of the backbone's rates, nothing of which moves; in (0, 1]."""

    def first_stage(self, stages: int) -> int:
        """No stage moves."""
        return stages
