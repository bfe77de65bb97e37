"""Where transferable knowledge ends, by the held-out predictions of a probe at each stage."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.contracts.prediction import Prediction
from headstart.evidence.layers import layer_view
from headstart.tasks.regression.task import Regression

N = 400


@pytest.mark.parametrize(
    ("noise", "best", "ends"),
    [
        ((3.0, 1.0, 0.5), 2, 2),
        ((3.0, 0.52, 0.5), 2, 1),
        ((0.5, 0.5, 1.0), 0, 0),
        ((2.0, 0.52, 0.5, 1.5), 2, 1),
        ((0.5,), 0, 0),
    ],
)
def test_knowledge_ends_at_the_earliest_stage_that_is_not_significantly_below_the_best(
    noise: tuple[float, ...], best: int, ends: int
) -> None:
    draws = np.random.default_rng(0)
    truth, apart = draws.normal(size=N), draws.normal(size=N)
    predictions = [Prediction({"value": truth + scale * draws.permutation(apart)}) for scale in noise]
    metric = Regression().restore({"mean": 0.0, "scale": 1.0}).evaluation.primary
    view = layer_view(metric, {"label": truth}, predictions, None, seed=0)
    assert (view.best, view.ends) == (best, ends)
    assert all(layer.to_best.figure.value <= 0 for layer in view.layers) and view.layers[0].gain is None
    gains = [layer.gain for layer in view.layers[1:] if layer.gain]
    assert [gain.figure.value > 0 for gain in gains] == [scale < min(noise[:k]) for k, scale in enumerate(noise) if k]
