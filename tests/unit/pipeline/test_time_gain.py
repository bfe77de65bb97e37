"""The transfer gain in time, from the learning curves of a model and of training from scratch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headstart.contracts.figures import MetricInfo
from headstart.pipeline.record import Arm, Epoch, FigureRow
from headstart.pipeline.time_gain import time_gain

SHARE = MetricInfo(title="Accuracy", unit="share", greater_is_better=True)
ERROR = MetricInfo(title="RMSE", unit="", greater_is_better=False)


def arm(title: str, values: Sequence[float], seconds: float, test: float = 0.0) -> Arm:
    history = tuple(
        Epoch(epoch=k, train_loss=1, val_loss=1, val_metric=value, learning_rate=1, seconds=seconds)
        for k, value in enumerate(values)
    )
    figure = FigureRow(value=test, low=test, high=test, n=9)
    return Arm(title=title, figures={"m": figure}, history=history, seconds=seconds)


@pytest.mark.parametrize(
    ("model", "scratch", "info", "seconds", "needed", "times"),
    [
        (arm("m", [0.7, 0.9, 0.8], 2.0), arm("s", [0.2, 0.8, 0.95, 0.9], 5.0), SHARE, 4.0, 15.0, 3.75),
        (arm("m", [0.7, 0.9, 0.8], 2.0), arm("s", [0.2, 0.8, 0.85], 5.0), SHARE, 4.0, None, 3.75),
        (arm("m", [], 1.0, test=0.8), arm("s", [0.2, 0.8], 5.0), SHARE, 4.0, 10.0, 2.5),
        (arm("m", [3.0, 2.0], 1.0), arm("s", [4.0, 2.5, 1.5], 1.0), ERROR, 2.0, 3.0, 1.5),
    ],
)
def test_the_time_to_the_models_figure(
    model: Arm, scratch: Arm, info: MetricInfo, seconds: float, needed: float | None, times: float
) -> None:
    found = time_gain({"model": model, "scratch": scratch}, "m", info, frozen_pass=3.0)
    assert found is not None
    assert (found.seconds, found.scratch_seconds, found.times) == pytest.approx((seconds, needed, times))
    words = "it did not get to the model's" if needed is None else f"it takes {needed:.1f} s to the model's"
    assert found.sentence.startswith("Time against s: ") and words in found.sentence


def test_there_is_none_without_a_training_from_scratch_or_a_better_and_worse() -> None:
    model, scratch = arm("m", [0.7], 2.0), arm("s", [0.7], 2.0)
    assert time_gain({"model": model}, "m", SHARE, 0.0) is None
    neither = MetricInfo(title="Bias", unit="", greater_is_better=None)
    assert time_gain({"model": model, "scratch": scratch}, "m", neither, 0.0) is None
