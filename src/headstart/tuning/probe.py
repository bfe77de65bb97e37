"""The linear probe: the backbone stays frozen and the best linear head on its features is solved for.

Alain & Bengio 2016 ("Understanding intermediate layers using linear classifier probes"). One frozen pass, a convex
problem, no learning rate: the floor that every fine-tuning has to beat.
"""

from __future__ import annotations

from typing import ClassVar

from headstart.contracts.tuning import Tuning


class Probe(Tuning):
    """A linear head on frozen features, its regularisation chosen by cross-validation."""

    solved: ClassVar[bool] = True

    refit: bool = True
    """Solve the head on training and validation part, calibrated by the solver's cross-validation; false: on the
    training part alone, calibrated on validation."""

    def first_stage(self, stages: int) -> int:
        """No stage moves."""
        return stages
