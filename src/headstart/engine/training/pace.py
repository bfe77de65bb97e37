"""Pace: how long a step and a validation pass take, and what of a budget they leave."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MARGIN = 1.05
"""An epoch is expected to take so many times what its steps took when they were tried."""


@dataclass
class Pace:
    """Seconds. Before anything was measured nothing is expected to take any."""

    budget: float | None
    """For the whole training; None for no limit."""
    passes_after: int
    """Validation passes that follow the last epoch's own."""
    validation: float = 0.0
    """What a pass takes."""
    saving: float = 0.0
    """What writing a checkpoint takes."""
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    """What the last ones took, each for as much work as is in a mean one."""

    @property
    def reserved(self) -> float:
        """Seconds that must be left when the last step is done."""
        return self.validation * (1 + self.passes_after) + self.saving

    def allows_a_step(self, used: float, work: float = 1.0) -> bool:
        """Return True where another step of relative cost `work` fits into the budget after so many seconds."""
        return self.budget is None or used + work * max(self.steps, default=0.0) + self.reserved <= self.budget

    def affordable(self, used: float, epochs: int, steps: int) -> tuple[int, int]:
        """(epochs, steps of each) of those planned that fit into the budget after so many seconds; at least one step.

        An epoch that does not fit as a whole is cut short, so that the rate still falls to its end.
        """
        step = min(self.steps, default=0.0) * MARGIN
        if self.budget is None or not step:
            return epochs, steps
        left = self.budget - used - self.validation * self.passes_after - self.saving
        whole = int(left / (step * steps + self.validation))
        if whole >= 1:
            return min(epochs, whole), steps
        return 1, max(1, min(steps, int((left - self.validation) / step)))
