"""A training with a budget leaves the time for the predictions that follow it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_tuned_arms import bench_of

from head_shapes import SHAPES
from headstart.contracts.model import Model
from headstart.engine.frozen.infer import Predictor
from headstart.pipeline import arms
from headstart.pipeline.arms import first_head, model_with, train_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.stored_views import beginning
from headstart.pipeline.time_estimates import TIMED, seconds_after
from headstart.pipeline.training import opened
from headstart.tasks.classification.task import Classification
from headstart.tuning.full import Full
from tiny_backbone import TinyBackbone, numeric_examples


@pytest.fixture
def context() -> FitContext:
    features = np.random.default_rng(0).normal(size=(90, 4))
    examples = numeric_examples(features, (features[:, 0] > 0).astype(int).tolist())
    return bench_of(TinyBackbone(), examples, Classification().bind(examples, SHAPES))


def model_of(context: FitContext) -> Model:
    return model_with(context, context.backbone, first_head(context, Full(), context.backbone, None).head)


class Clock:
    """A prediction of an example takes a second."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds, predict = 0.0, Predictor.__call__

        def timed(predictor: Predictor, examples: Any) -> Any:
            self.seconds += len(examples)
            return predict(predictor, examples)

        patch.setattr(Predictor, "__call__", timed)

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.slow
@pytest.mark.parametrize(("views", "windows", "times"), [(0, False, 0), (0, True, 1), (4, False, 6), (4, True, 7)])
def test_every_prediction_of_the_validation_part_is_counted(
    context: FitContext, monkeypatch: pytest.MonkeyPatch, views: int, windows: bool, times: int
) -> None:
    clock = Clock(monkeypatch)
    given = replace(context, windows=context.data if windows else None)
    assert seconds_after(given, model_of(context), views, clock) == times * len(context.data.split.val)
    assert clock.seconds <= 1 + TIMED


def test_a_training_by_a_budget_leaves_them_their_time(context: FitContext, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Full(epochs=4, batch_size=16)
    free = train_arm(context, "free", recipe, "model", 1e6)
    monkeypatch.setattr(arms, "seconds_after", lambda *given: 1e6)
    short = train_arm(context, "short", recipe, "model", 1e6)
    assert free.progress is not None and short.progress is not None
    assert (free.progress.epochs, short.progress.epochs, short.progress.steps) == (4, 1, 1)


def test_a_training_by_a_budget_keeps_time_to_be_calibrated(context: FitContext) -> None:
    recipe = Full()
    begun = beginning(context, context.backbone, recipe, 0, "model", None)
    for epochs, passes in ((None, 1), (3, 0)):
        ready = opened(context, model_of(context), recipe, begun, head_learnt=False, budget=9.0, epochs=epochs)
        with ready as (training, _):
            assert training.loop.pace.passes_after == passes
