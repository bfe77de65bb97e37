"""Predicting with a model that adapts to the inputs: it is read anew, so that run and folder stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.test_time import TestTime
from headstart.engine.adapted_pass import AdaptedPass
from headstart.engine.device import pick_device
from headstart.engine.frozen.averaged_views import KEY
from headstart.engine.frozen.infer import Predictor
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.kernel.user_settings import build
from headstart.pipeline.own_test_part import own_part
from headstart.pipeline.run_folder import RunFolder

FAMILY = "test_time"
SOURCE_EXAMPLES = 256
"""Training examples whose statistics are measured, at most."""


def predictor_of(
    run: RunFolder, test_time: str | None, settings: Mapping[str, Any], reporter: Reporter
) -> tuple[Predictor, Callable[[], tuple[str, ...]]]:
    """Return what predicts for a run, and what is to be said of it in the end.

    Args:
        test_time: name of an adaptation; None for the model as it is. settings: the adaptation's.

    Raises:
        SettingsError: there is no such adaptation, it cannot adapt the model, or settings are given without one.
    """
    if test_time is None:
        if settings:
            raise SettingsError(f"--set {FAMILY}.{next(iter(settings))} would do nothing without --test-time NAME")
        return Predictor(run.model, reporter=reporter, keep_pooled=True), tuple
    chosen: TestTime = build(registry.plugin(FAMILY, test_time), settings, where=FAMILY)
    model = run.read_model()
    adapted = AdaptedPass(model, chosen, pick_device(), lambda: _training_examples(run))
    views = f"Predictions are not averaged over views beside --test-time {test_time}"
    averaged = (views,) if KEY in model.execution else ()
    return Predictor(model, reporter=reporter, adapted=adapted), lambda: (*averaged, *adapted.notes())


def _training_examples(run: RunFolder) -> Examples:
    """Some of those that the model learnt from, drawn. Raises HeadstartError where they are gone."""
    found = own_part(run, run.model.columns, "train")
    drawn = np.random.default_rng(draw_seed(run.plan.seed, "source of test time")).permutation(len(found))
    return found.take(np.sort(drawn[:SOURCE_EXAMPLES]))
