"""What a training with a budget leaves time for: predictions from the inputs on that follow it, reading included."""

from __future__ import annotations

import time
from collections.abc import Callable

from headstart.contracts.model import Model
from headstart.engine.frozen.infer import Predictor
from headstart.pipeline.context import FitContext

TIMED = 8
"""Examples by which it is estimated."""


def seconds_after(context: FitContext, model: Model, views: int, now: Callable[[], float] = time.monotonic) -> float:
    """About how long the validation part is predicted when `model` is trained: no pass in the loop is the same.

    It is so for the calibration where examples are cut into pieces, and where averaging over views is tried.

    Args:
        bench: data. model: as it will be, whatever its weights.
        views: over how many averaging is tried; 0 for none.
        now: the clock.
    """
    times = (context.windows is not None) + (views + 2 if views else 0)
    if not times:
        return 0.0
    rows, predictor = context.data.split.val, Predictor(model)
    predictor(context.data.examples.take(rows[:1]))
    began = now()
    predictor(context.data.examples.take(rows[:TIMED]))
    return times * (now() - began) * len(rows) / min(TIMED, len(rows))
