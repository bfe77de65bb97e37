"""The random draws that an objective makes itself: those for an example are a pure function of it and the step."""

from __future__ import annotations

import numpy as np

from headstart.contracts.carriers import Batch
from headstart.contracts.objective import Step
from headstart.kernel.randomness import draw_seed


def draws_for(step: Step, batch: Batch, purpose: str) -> list[np.random.Generator]:
    """Return the draws for each example of a batch, which are the same in any part of it."""
    return [np.random.default_rng(draw_seed(step.seed, purpose, row)) for row in batch.rows.tolist()]
