"""Full fine-tuning: every weight moves, the backbone more slowly than the new head.

Yosinski et al. 2014 ("How transferable are features in deep neural networks?"). BatchNorm keeps the statistics of the
pretraining, as Chollet's guide to transfer learning (Keras, 2020) has it: batches of a small data set are poor
estimates, and weights whose statistics were folded into the convolutions do not work with any others.
"""

from __future__ import annotations

from typing import ClassVar

from headstart.contracts.advice import Advice, DataFacts, Suggestion
from headstart.contracts.tuning import Recipe

MANY = 1000
"""Training examples from which a search tries it among the first."""


def _tries(facts: DataFacts) -> tuple[Suggestion, ...]:
    """Always; with many examples early."""
    return (Suggestion(1 if facts.examples >= MANY else 3, "every weight can follow the data"),)


class Full(Recipe):
    """Everything from the pretrained weights on."""

    advice: ClassVar[Advice] = Advice(_tries)
