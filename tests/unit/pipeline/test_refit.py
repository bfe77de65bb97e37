"""Training once more on all that are labelled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from head_shapes import SHAPES
from headstart.contracts.backbone import state_hash
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.splits import Split
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.kernel.progress import Quiet
from headstart.kernel.user_settings import build
from headstart.pipeline import refit
from headstart.pipeline.arms import FitContext, train_arm
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import DataSummary
from headstart.pipeline.refit import trained_and_refitted
from headstart.runners.eager import Eager
from headstart.tasks.classification.task import Classification
from headstart.tuning.full import Full
from tiny_backbone import TinyBackbone, numeric_examples

RECIPE: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.01,
    "precision": "float32",
    "keep": "last",
}
ONCE, TWICE = Full(**RECIPE), Full(**RECIPE, refit=True)


def bench_of(train: range, val: range) -> FitContext:
    features = np.random.default_rng(0).normal(size=(90, 4))
    examples = numeric_examples(features, (features[:, 0] + features[:, 1] > 0).astype(int).tolist())
    backbone, task, plan = TinyBackbone(dropout=0.0), Classification().bind(examples, SHAPES), Plan(data="<made>")
    keys = [str(key) for key in content_keys(examples).keys]
    split = Split(np.array(train), np.array(val), np.arange(75, 90))
    summary = DataSummary(source="", seen="", modality="table", parts=())
    targets, strata = task.targets(examples), task.settings.split_policy(examples).strata
    data = Prepared(examples, plan.columns, keys, task, targets, strata, None, split, summary)
    backbone.module.eval()
    features_found = extract(backbone, examples, keys, runner=Eager())
    return FitContext(plan, data, backbone, features_found, None, Quiet(), FeatureStore())


def parts() -> FitContext:
    return bench_of(range(60), range(60, 75))


def weights(context: FitContext) -> str:
    return state_hash(context.backbone.module.state_dict())


@pytest.mark.slow
def test_the_weights_are_those_of_all_labels_and_the_rest_is_of_the_first_training() -> None:
    alone, both, whole = parts(), parts(), bench_of(range(75), range(60, 75))
    first = train_arm(alone, "model", ONCE, "first", None)
    arm = trained_and_refitted(both, TWICE, "both", None)
    train_arm(whole, "model", ONCE, "all", None)
    assert weights(both) == weights(whole) != weights(alone)
    assert arm.model.calibration == first.model.calibration
    assert arm.validation is not None and first.validation is not None
    assert np.array_equal(arm.validation.columns["probabilities"], first.validation.columns["probabilities"])
    assert arm.progress is not None and first.progress is not None
    assert [one.val_loss for one in arm.progress.history] == [one.val_loss for one in first.progress.history]
    assert "trained once more, on training and validation part" in {one.value for one in arm.decisions}


def test_of_several_rates_the_best_one_is_that_of_the_second_training() -> None:
    both, whole = parts(), bench_of(range(75), range(60, 75))
    arm = trained_and_refitted(both, TWICE.model_copy(update={"rates_tried": (1e-6, 1.0)}), "both", None)
    assert arm.chosen["learning_rate"] == TWICE.learning_rate
    train_arm(whole, "model", ONCE, "all", None)
    assert weights(both) == weights(whole)


@pytest.mark.slow
def test_where_the_second_training_fails_the_first_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, both = parts(), parts()
    train_arm(alone, "model", ONCE, "first", None)
    trained = refit.train_arm

    def failing(context: FitContext, key: str, *rest: Any) -> Any:
        arm = trained(context, key, *rest)
        if key == "model":
            return arm
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(refit, "train_arm", failing)
    arm = trained_and_refitted(both, TWICE, "both", None)
    assert weights(both) == weights(alone)
    (told,) = [one for one in arm.decisions if one.what == "the weights"]
    assert told.value == "of the training part alone"
    assert told.reason == "training once more failed: the loss is not finite"

    def stopping(context: FitContext, key: str, *rest: Any) -> Any:
        arm = trained(context, key, *rest)
        if key != "model":
            assert arm.progress is not None
            arm = replace(arm, progress=replace(arm.progress, stopped="no memory", broken_off=True))
        return arm

    monkeypatch.setattr(refit, "train_arm", stopping)
    torch.manual_seed(1)
    broken = trained_and_refitted(again := parts(), TWICE, "both", None)
    assert weights(again) == weights(alone)
    assert "was broken off" in {one.what: one for one in broken.decisions}["the weights"].reason


def test_a_budget_is_divided_by_what_each_training_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, given = refit.train_arm, []

    def noted(context: FitContext, key: str, tuning: Any, title: str, budget: float | None, probe: Any = None) -> Any:
        given.append(budget)
        return replace(trained(context, key, tuning, title, None, probe), seconds=30.0)

    monkeypatch.setattr(refit, "train_arm", noted)
    trained_and_refitted(parts(), TWICE, "both", 135.0)
    assert given == [pytest.approx(60.0), pytest.approx(105.0)]


def test_it_needs_a_training_that_chooses_no_weights() -> None:
    for settings in ({"refit": True}, {"refit": True, "keep": "last", "interpolate": True}):
        with pytest.raises(SettingsError, match='needs keep = "last" and no interpolate'):
            build(Full, settings, where="tuning full")
