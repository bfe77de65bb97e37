from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from head_shapes import SHAPES
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.splits import Split
from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Quiet
from headstart.objectives.supervised import Supervised
from headstart.pipeline import arms
from headstart.pipeline.arms import train_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import DataSummary
from headstart.pipeline.trained import predict_rows
from headstart.pipeline.training import boundary
from headstart.runners.eager import Eager
from headstart.tasks.classification.task import Classification
from headstart.tuning.full import Full
from headstart.tuning.probe import Probe
from tiny_backbone import TinyBackbone, numeric_examples


class LastStage(Recipe):
    start: ClassVar[str] = "pretrained"
    solved: ClassVar[bool] = False

    def first_stage(self, stages: int) -> int:
        return stages - 1

    def rates(self, stages: int) -> tuple[Rate, ...]:
        return (Rate(-1, 1.0), Rate(stages - 1, 1.0))


class WorksOnFeatures(Supervised):
    def first_stage(self, stages: int) -> int:
        return stages - 1


def test_the_boundary_is_the_first_stage_that_any_part_touches() -> None:
    assert boundary(LastStage(), Supervised(), TinyBackbone()) == 2
    assert boundary(Full(), Supervised(), TinyBackbone()) == 0
    assert boundary(Probe(), Supervised(), TinyBackbone()) == 3


def test_an_objective_that_reaches_nothing_that_moves_is_refused() -> None:
    assert boundary(LastStage(), WorksOnFeatures(), TinyBackbone()) == 2
    with pytest.raises(SettingsError, match="works on stage 3 of 3, the tuning moves nothing before stage 4"):
        boundary(Probe(), WorksOnFeatures(), TinyBackbone())


def test_training_from_a_stored_prefix_equals_training_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probabilities(store: FeatureStore) -> np.ndarray:
        features = np.random.default_rng(0).normal(size=(90, 4))
        examples = numeric_examples(features, (features[:, 0] > 0).astype(int).tolist())
        keys = [str(key) for key in content_keys(examples).keys]
        task = Classification().bind(examples, SHAPES)
        split = Split(np.arange(60), np.arange(60, 75), np.arange(75, 90))
        summary = DataSummary(source="", seen="", modality="table", parts=())
        plan = Plan(data="<made>")
        targets, strata = task.targets(examples), task.settings.split_policy(examples).strata
        data = Prepared(examples, plan.columns, keys, task, targets, strata, None, split, summary)
        backbone = TinyBackbone(dropout=0.0)
        backbone.module.eval()
        context = FitContext(
            plan, data, backbone, extract(backbone, examples, keys, runner=Eager()), None, Quiet(), store
        )
        torch.manual_seed(0)
        arm = train_arm(context, "model", LastStage(epochs=3, learning_rate=0.01), "last stage", None)
        return predict_rows(context, arm, split.test).columns["probabilities"]

    stored = probabilities(FeatureStore(tmp_path))
    assert FeatureStore(tmp_path).size() > 0
    monkeypatch.setattr(arms, "boundary", lambda *_: 0)
    np.testing.assert_allclose(probabilities(FeatureStore(limit=0)), stored, atol=1e-5)
