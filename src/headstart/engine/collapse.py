"""Collapse: training without labels has ended in a representation that tells no two inputs apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.engine.checkpoint import EpochResult
from headstart.kernel.errors import TrainingError

SPREAD, RANK = "feature_std", "effective_rank"
"""Monitors of `numerics/spread.py` that an epoch's result has where training goes without labels."""

LEAST_SPREAD = 0.01
"""Below it the embeddings point the same way up to a hundredth of what an even spread has."""

LEAST_RANK = 1.05
"""Below it all embeddings lie on one line."""


def require_spread(history: Sequence[EpochResult]) -> None:
    """Raises TrainingError where the last epoch has left a collapsed representation; the first may begin with one."""
    if len(history) < 2:
        return
    last = history[-1]
    spread, rank = (last.monitors.get(name, math.inf) for name in (SPREAD, RANK))
    if spread >= LEAST_SPREAD and rank >= LEAST_RANK:
        return
    raise TrainingError(
        f"the representation has collapsed in epoch {last.epoch + 1}: inputs that differ have the same features "
        f"(feature standard deviation {spread:.2g} of 1, effective rank {rank:.3g}). Try a lower "
        "training.learning_rate, a greater training.batch_size, stronger views (--augmentation), or another objective."
    )
