"""How many views are kept, where training begins then, and whether predictions are averaged over views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from head_shapes import SHAPES
from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.contracts.model import Model, load_model
from headstart.contracts.prediction import Prediction
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.frozen.averaged_views import KEY, AveragedViews
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.infer import Predictor
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.splits import Split
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Quiet
from headstart.kernel.user_settings import build
from headstart.pipeline import stored_views as views
from headstart.pipeline.arms import train_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import DataSummary
from headstart.pipeline.stored_views import Beginning, beginning
from headstart.pipeline.trained import predict_rows
from headstart.pipeline.view_averaging import averaged_where_better, left_out, views_averaged
from headstart.runners.eager import Eager
from headstart.tasks.classification.task import Classification
from masked_pictures import png

STAGES = 3
"""Of the six of test_resnet, so many are frozen."""


class LastStages(Recipe):
    start: ClassVar[str] = "pretrained"
    solved: ClassVar[bool] = False

    def first_stage(self, stages: int) -> int:
        return STAGES

    def rates(self, stages: int) -> tuple[Rate, ...]:
        return (Rate(-1, 1.0), *(Rate(stage, 1.0) for stage in range(STAGES, stages)))


def pictures(count: int) -> Examples:
    """Dark and light noise."""
    draws = np.random.default_rng(0)
    pixels = [draws.normal(80 + 60 * (k % 2), 40, (32, 32, 3)).clip(0, 255).astype(np.uint8) for k in range(count)]
    labels, origins = ["dark" if k % 2 == 0 else "light" for k in range(count)], [f"picture {k}" for k in range(count)]
    table = pa.table({"picture": [png(picture) for picture in pixels], "label": labels, "origin": origins})
    return Examples(table, Schema(modality="image", inputs=("picture",), targets={"label": "label"}, origin="origin"))


@pytest.fixture
def context(tmp_path: Path) -> FitContext:
    settings = {"reference": "test_resnet", "weights": "random", "image_size": 32}
    backbone: Backbone = build(registry.plugin("backbones", "timm_images"), settings, where="backbone").load()
    examples = pictures(24)
    keys = [str(key) for key in content_keys(examples).keys]
    task = Classification().bind(examples, SHAPES)
    split = Split(np.arange(12), np.arange(12, 18), np.arange(18, 24))
    summary = DataSummary(source="", seen="", modality="image", parts=())
    plan = Plan(data="<made>", runner="eager", augmentation="crop", settings={"augmentation": {"test_views": 0}})
    targets, strata = task.targets(examples), task.settings.split_policy(examples).strata
    data = Prepared(examples, Columns(), keys, task, targets, strata, None, split, summary)
    features = extract(backbone, examples, keys, runner=Eager())
    (tmp_path / "work").mkdir()
    return FitContext(plan, data, backbone, features, tmp_path / "work", Quiet(), FeatureStore(tmp_path / "store"))


def said(context: FitContext, augmentation: str, **settings: Any) -> FitContext:
    settings = {"test_views": 0, **settings}
    return replace(
        context,
        plan=context.plan.model_copy(update={"augmentation": augmentation, "settings": {"augmentation": settings}}),
    )


def begun(
    context: FitContext, epochs: int = 3, frozen: int = STAGES, budget: float | None = None, key: str = "model"
) -> Beginning:
    return beginning(context, context.backbone, LastStages(epochs=epochs), frozen, key, budget)


def reason(found: Beginning, what: str = "kept views") -> str:
    return next(decision.reason for decision in found.decisions if decision.what == what)


def test_an_augmentation_of_inputs_leaves_the_boundary_where_the_tuning_puts_it(context: FitContext) -> None:
    found = begun(context)
    assert found.start == STAGES and len(found.views) == 3
    assert found.augmentation.parts == ()
    assert "one for each of 3 epochs" in reason(found)
    rows = np.array([3, 0])
    states = [view(rows).hidden for view in found.views]
    assert states[0].shape == found.source(rows).hidden.shape
    assert len({state.sum().item() for state in (*states, found.source(rows).hidden)}) == 4


def test_more_views_than_are_worth_it_are_not_made_unless_asked_for(context: FitContext) -> None:
    assert len(begun(context, epochs=50).views) == views.MOST_VIEWS
    assert len(begun(said(context, "crop", views=11), epochs=3, key="other").views) == 11


def test_with_views_0_every_epoch_makes_new_ones_from_the_inputs_on(context: FitContext) -> None:
    found = begun(said(context, "crop", views=0))
    assert found.start == 0 and not found.views
    assert found.augmentation.changes_inputs
    assert "every epoch makes new ones" in reason(found)


def test_without_an_augmentation_nothing_is_decided(context: FitContext) -> None:
    found = begun(said(context, "none"))
    assert (found.start, found.views, found.decisions) == (STAGES, (), ())
    mixed = begun(said(context, "manifold_mixup"))
    assert mixed.start == STAGES and mixed.augmentation.mixes and not mixed.decisions


def test_mixtures_of_kept_views_are_of_states(context: FitContext) -> None:
    found = begun(said(context, "crop+manifold_mixup"))
    assert found.start == STAGES and len(found.views) == 3
    assert found.augmentation.mixes and not found.augmentation.changes_inputs


def test_mixing_inputs_keeps_no_views_and_says_why(context: FitContext) -> None:
    found = begun(said(context, "crop+mixup"))
    assert found.start == 0 and not found.views
    assert "mixup mixes inputs, of which no states can be kept; manifold_mixup" in reason(found)
    with pytest.raises(SettingsError, match=r"augmentation\.views = 4: mixup mixes inputs"):
        begun(said(context, "crop+mixup", views=4))


def test_views_where_nothing_is_frozen_are_refused(context: FitContext) -> None:
    assert begun(context, frozen=0).start == 0
    with pytest.raises(SettingsError, match=r"augmentation\.views = 2: the tuning leaves no stage frozen"):
        begun(said(context, "crop", views=2), frozen=0)
    fresh = context.backbone.fresh(1)  # the baseline from scratch has nothing frozen, whatever was asked of the model
    assert beginning(said(context, "crop", views=2), fresh, LastStages(), 0, "scratch", None).start == 0


def test_the_room_in_the_store_bounds_the_views(context: FitContext, tmp_path: Path) -> None:
    state = begun(context).source(np.array([0])).hidden
    view = state.numel() * 4 * 12
    small = replace(context, store=FeatureStore(tmp_path / "small", limit=int(4.2 * view)))
    found = begun(small, epochs=9, key="small")
    assert len(found.views) == 2
    assert "HEADSTART_CACHE_LIMIT allows more" in reason(found)
    with pytest.raises(SettingsError, match="Keep fewer, or allow more"):
        begun(said(small, "crop", views=9))
    tiny = replace(context, store=FeatureStore(tmp_path / "tiny", limit=view))
    assert begun(tiny, key="tiny").start == 0


def test_under_a_budget_views_have_a_quarter_of_the_time(context: FitContext, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(views.time, "monotonic", lambda: float(next(clock)))
    found = begun(context, epochs=8, budget=160.0)
    assert 1 <= len(found.views) < 8
    assert "25 % of the budget" in reason(found)
    named = views.as_many_views(context, found)
    assert len(begun(named, epochs=8, key="repeated").views) == len(found.views)
    none = begun(context, epochs=8, frozen=0)
    assert views.as_many_views(context, none).plan.plugin("augmentation").settings.views == 0


def test_a_resumed_run_has_the_views_it_had(context: FitContext, monkeypatch: pytest.MonkeyPatch) -> None:
    first = begun(context, epochs=2)
    again = begun(context, epochs=7)
    assert len(again.views) == len(first.views) == 2
    rows = np.arange(12)
    assert all(torch.equal(one(rows).hidden, other(rows).hidden) for one, other in zip(first.views, again.views))


def test_training_on_kept_views_equals_training_on_the_same_views_made_anew(
    context: FitContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probabilities(key: str) -> np.ndarray:
        context.backbone.module.load_state_dict(initial)
        arm = train_arm(
            context,
            key,
            LastStages(epochs=2, learning_rate=0.01, batch_size=6, precision="float32"),
            "last stages",
            None,
        )
        return predict_rows(context, arm, context.data.split.test).columns["probabilities"]

    initial = {name: tensor.clone() for name, tensor in context.backbone.module.state_dict().items()}
    kept = probabilities("kept")
    original = views.beginning

    def anew(*args: Any) -> Beginning:
        """The same views at the input, as the streams' source."""
        at_inputs = tuple(_at_input(context, view) for view in original(*args).views)
        return replace(begun(said(context, "none"), frozen=0), views=at_inputs)

    monkeypatch.setattr("headstart.pipeline.arms.beginning", anew)
    np.testing.assert_allclose(probabilities("anew"), kept, atol=1e-4)


def _at_input(context: FitContext, view: views.ViewStates) -> views.ViewStates:
    def states(rows: np.ndarray) -> Any:
        keys = [view.keys[int(row)] for row in rows]
        return view.view(context.backbone.prepare(raws_of(context.data.examples, rows)), keys)

    return replace(view, states=states)


def test_what_the_size_of_the_data_decides_is_told(context: FitContext) -> None:
    found = begun(said(context, "standard"))
    decision = found.decisions[0]
    assert decision.what == "augmentation" and "for 12 training examples" in decision.reason
    assert "trivial (strength 0.3)" in decision.value
    assert decision.value.startswith("crop")


def model_of(context: FitContext) -> Model:
    head = context.data.task.head(context.backbone)
    model = Model(
        context.backbone,
        context.data.task,
        nn.ModuleDict({"head": head}),
        Columns(),
        context.execution_of(context.backbone),
    )
    return model.eval()


def test_predictions_are_the_mean_over_the_input_and_its_views(context: FitContext, tmp_path: Path) -> None:
    model = model_of(context)
    examples = context.data.examples.take([1, 4, 6])
    augmentation = context.plan.plugin("augmentation").bind(context.backbone.input_kind(), 12)
    averaging = AveragedViews(2, 5, augmentation)
    plain = Predictor(model)(examples).prediction
    model.execution = {**model.execution, KEY: averaging.to_json()}
    found = Predictor(model)(examples).prediction
    assert plain is not None and found is not None
    inputs = context.backbone.prepare(raws_of(examples))
    logits = [plain.columns["logits"]]
    for number in range(2):
        seeds = [averaging.seed_of(number)] * 3
        with torch.no_grad():
            state = context.backbone.segment(0, len(context.backbone.stages))(augmentation.view(inputs, seeds))
            logits.append(model.heads["head"](context.backbone.features(state).pooled).double().numpy())
    np.testing.assert_allclose(found.columns["logits"], np.mean(logits, axis=0), atol=1e-4)
    model.save(tmp_path / "model")
    again = Predictor(load_model(tmp_path / "model"))(examples).prediction
    assert again is not None
    np.testing.assert_allclose(again.columns["logits"], found.columns["logits"], atol=1e-5)
    one = Predictor(model)(examples.take([2])).prediction
    assert one is not None
    np.testing.assert_allclose(one.columns["logits"][0], found.columns["logits"][2], atol=1e-5)


def test_what_cannot_be_read_fails_once_also_where_views_are_averaged(context: FitContext) -> None:
    model = model_of(context)
    augmentation = context.plan.plugin("augmentation").bind(context.backbone.input_kind(), 12)
    model.execution = {**model.execution, KEY: AveragedViews(2, 5, augmentation).to_json()}
    table = context.data.examples.table.slice(0, 3).to_pydict()
    table["picture"][1] = b"no picture"
    found = Predictor(model)(Examples(pa.table(table), context.data.examples.schema))
    assert found.rows.tolist() == [0, 2] and list(found.failures) == [1]


@pytest.mark.parametrize("helps", [True, False])
def test_averaging_is_kept_only_where_the_interval_is_above_zero(
    context: FitContext, helps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A predictor of labels, right only with the views or only without them, stands for a model."""
    split = Split(np.arange(2), np.arange(2, 24), np.arange(0))
    context = replace(context, data=replace(context.data, split=split))
    truth = context.data.targets_of(split.val)["label"]

    def predicted(_: FitContext, model: Model) -> Any:
        right = (KEY in model.execution) == helps
        logits = np.eye(2)[truth if right else 1 - truth] * 4.0
        return context.data.task.evaluation.finish(Prediction({"logits": logits}), model.calibration)

    monkeypatch.setattr("headstart.pipeline.view_averaging._predicted", predicted)
    augmentation = context.plan.plugin("augmentation")
    model, decision = averaged_where_better(context, model_of(context), augmentation, 3)
    assert (KEY in model.execution) == helps
    assert decision.what == "test-time views"
    assert ("takes 4 times as long" in decision.reason) == helps
    assert ("no gain is shown" in decision.reason) == (not helps)


def test_averaging_that_cannot_be_is_refused_before_training(context: FitContext) -> None:
    def asked(augmentation: str, **settings: Any) -> int:
        chosen = said(context, augmentation, **settings)
        return views_averaged(chosen, chosen.plan.plugin("augmentation"))

    assert asked("crop", test_views=None) == 4
    assert asked("crop", test_views=7) == 7
    assert asked("crop", test_views=0) == 0
    assert asked("mixup", test_views=None) == 0
    with pytest.raises(SettingsError, match=r"augmentation\.test_views = 3: the augmentation makes no views"):
        asked("mixup", test_views=3)
    hurried = said(context, "crop", test_views=None)
    hurried = replace(hurried, plan=hurried.plan.model_copy(update={"budget": 60.0}))
    assert views_averaged(hurried, hurried.plan.plugin("augmentation")) == 0
    told = left_out(hurried, hurried.plan.plugin("augmentation"))
    assert told is not None and "under a budget" in told.reason
    assert left_out(said(context, "crop"), context.plan.plugin("augmentation")) is None
