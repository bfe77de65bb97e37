"""Full fine-tuning: every weight moves, the backbone more slowly than the head.

The head starts as the probe's, where that can be solved for (Kumar et al. 2022, as in `lp_ft`), and the rate rises over
ten steps at least: a fresh head, or full rates at once, cost more in the first dozens of steps than these can win back.
With `renew_statistics` and BatchNorm the head starts fresh: it would meet other features than it was solved on.

Yosinski et al. 2014 ("How transferable are features in deep neural networks?"). BatchNorm keeps the statistics of the
pretraining, as Chollet's guide to transfer learning (Keras, 2020) has it: batches of a small data set are poor
estimates, and weights whose statistics were folded into the convolutions do not work with any others.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from headstart.contracts.advice import Advice, DataFacts, Suggestion
from headstart.contracts.tuning import Recipe

MANY = 1000
"""Training examples from which a search tries it among the first."""


def _tries(facts: DataFacts) -> tuple[Suggestion, ...]:
    """Always; with many examples early."""
    return (Suggestion(1 if facts.examples >= MANY else 3, "every weight can follow the data"),)


class Full(Recipe):
    """Everything, from the pretrained weights and the solved head on."""

    advice: ClassVar[Advice] = Advice(_tries)
    head: ClassVar[Literal["fresh", "solved"]] = "solved"

    warmup_steps: int = Field(default=10, ge=0)
    """Steps over which the rate rises at least, however few there are; up to nine tenths of them; >= 0."""
