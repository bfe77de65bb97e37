"""The random draws that an objective makes itself: a pure function of the step and of the examples it is given."""

from __future__ import annotations

import numpy as np

from headstart.contracts.carriers import Batch
from headstart.contracts.objective import Step
from headstart.kernel.randomness import draw_seed


def draws_for(step: Step, batch: Batch, purpose: str) -> np.random.Generator:
    """Draws for a batch of the step; every part of one has its own, as no two share their first row."""
    return np.random.default_rng(draw_seed(step.seed, purpose, int(batch.rows[0])))
