"""Collapse: training without labels has ended in a representation that tells no two inputs apart."""

from __future__ import annotations

import math
from collections.abc import Mapping

from headstart.contracts.figures import MetricInfo
from headstart.engine.training.finite import BrokenOffError

SPREAD, RANK = "feature_std", "effective_rank"
"""Monitors of `numerics/spread.py` that an epoch's result has where training goes without labels."""

MONITORS = {
    SPREAD: MetricInfo(
        title="Feature standard deviation",
        greater_is_better=True,
        note="0: all features are the same; 1: evenly spread.",
    ),
    RANK: MetricInfo(
        title="Effective rank", greater_is_better=True, note="The number of dimensions that the features use."
    ),
}
"""How they are shown."""

LEAST_SPREAD = 0.01
"""Below it the embeddings point the same way up to a hundredth of what an even spread has."""

LEAST_RANK = 1.05
"""Below it all embeddings lie on one line."""


def require_spread(epoch: int, monitors: Mapping[str, float], start: Mapping[str, float]) -> None:
    """Raises BrokenOffError where an epoch has left a collapsed representation.

    `start` are the monitors before the first step, empty where nobody looked: the first epoch may leave what it found.
    """
    if not _collapsed(monitors) or (epoch == 0 and (_collapsed(start) or not start)):
        return
    raise BrokenOffError(
        f"the representation collapsed in epoch {epoch + 1}: different inputs have the same features "
        f"(feature standard deviation {monitors[SPREAD]:.2g} of 1, effective rank {monitors[RANK]:.3g}). Try a lower "
        "training.learning_rate, a greater training.batch_size, stronger views (--augmentation), or another objective."
    )


def _collapsed(monitors: Mapping[str, float]) -> bool:
    spread, rank = (monitors.get(name, math.inf) for name in (SPREAD, RANK))
    return spread < LEAST_SPREAD or rank < LEAST_RANK
