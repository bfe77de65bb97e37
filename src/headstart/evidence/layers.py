"""The layer view: a cross-validated linear probe at every stage of a frozen backbone, and where its knowledge ends.

Alain & Bengio 2016 ("Understanding intermediate layers using linear classifier probes") read each layer by a linear
probe; Yosinski et al. 2014 ("How transferable are features in deep neural networks?") found early layers general and
late ones specific to what they were trained for. All stages are judged on the same held-out examples, so that paired
bootstrap differences tell them apart.

The rule: knowledge that transfers ends at the earliest stage that is not significantly below the best one (95 %). What
lies behind it adds nothing that these labels could show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.figures import Figure
from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.evidence.comparison import Difference, compare, figures


class Layer(NamedTuple):
    """A stage, as its probe sees it."""

    figure: Figure
    """The metric on held-out examples."""
    to_best: Difference
    """The stage against the best one, which is compared with itself."""
    gain: Difference | None
    """The stage against the best of those before it; None for the first."""


class LayerView(NamedTuple):
    """All stages, from input to end."""

    layers: tuple[Layer, ...]
    best: int
    """The stage with the best figure, the earliest of equal ones."""
    ends: int
    """The stage at which knowledge that transfers ends."""


def layer_view(
    metric: Metric, targets: Targets, predictions: Sequence[Prediction], groups: np.ndarray | None, seed: int
) -> LayerView:
    """Judge the held-out predictions of each stage's probe.

    Args:
        metric: what stages are compared by.
        targets: of the examples.
        predictions: of each stage for all examples, finished; one stage at least.
        groups: (examples,) what is resampled together; None for single examples.
        seed: of the resamples.
    """
    sign = 1.0 if metric.greater_is_better else -1.0
    scores = [sign * metric.score(targets, prediction) for prediction in predictions]
    values = np.nan_to_num(scores, nan=-np.inf)
    best = int(np.argmax(values))

    def against(one: int, other: int) -> Difference:
        return compare(metric, targets, predictions[one], predictions[other], groups=groups, seed=seed, choosing=True)

    layers = tuple(
        Layer(
            figures([metric], targets, prediction, groups=groups, seed=seed)[metric.name],
            against(k, best),
            against(k, int(np.argmax(values[:k]))) if k else None,
        )
        for k, prediction in enumerate(predictions)
    )
    ends = next(k for k, layer in enumerate(layers) if layer.to_best.verdict != "worse")
    return LayerView(layers, best, ends)
