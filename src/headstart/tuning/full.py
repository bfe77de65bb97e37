"""Full fine-tuning: every weight moves, the backbone more slowly than the new head.

Yosinski et al. 2014 ("How transferable are features in deep neural networks?").
"""

from __future__ import annotations

from typing import ClassVar

from headstart.contracts.tuning import Rate, Recipe


class Full(Recipe):
    """Everything from the pretrained weights on."""

    start: ClassVar[str] = "pretrained"
    solved: ClassVar[bool] = False

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """All stages move."""
        return 0

    def rates(self, stages: int) -> tuple[Rate, ...]:
        """Every stage and the head at their full rates."""
        return tuple(Rate(stage, 1.0) for stage in range(-1, stages))
