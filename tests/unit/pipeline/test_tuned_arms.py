"""Arms of the tunings that start from a solved head, measure, or train beside the weights."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from head_shapes import SHAPES
from headstart.backbones.timm_images import TimmImages
from headstart.contracts.backbone import Backbone, state_hash
from headstart.contracts.examples import Examples
from headstart.contracts.model import load_model
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.training import loop as loop_module
from headstart.engine.training.optimiser import has_batch_norm
from headstart.evidence.splits import Split
from headstart.kernel.errors import TrainingError
from headstart.kernel.progress import Quiet
from headstart.pipeline import embed as sources
from headstart.pipeline.arms import FitContext, first_head, solve_arm, train_arm
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import DataSummary
from headstart.pipeline.trained import predict_rows
from headstart.runners.eager import Eager
from headstart.tasks.classification.task import BoundClassification, Classification
from headstart.tasks.segmentation.task import Segmentation
from headstart.tuning.bias_only import BiasOnly
from headstart.tuning.full import Full
from headstart.tuning.gradual import Gradual
from headstart.tuning.head_only import HeadOnly
from headstart.tuning.lora import Lora
from headstart.tuning.lp_ft import LpFt
from headstart.tuning.partial import Partial
from headstart.tuning.surgical import Surgical
from masked_pictures import masked_pictures
from tiny_backbone import TinyBackbone, numeric_examples

SHORT: dict[str, Any] = {"epochs": 2, "batch_size": 16, "learning_rate": 0.01, "precision": "float32"}


def bench_of(backbone: Backbone, examples: Examples, task: Any, work: Path | None = None) -> FitContext:
    n = len(examples)
    keys = [str(key) for key in content_keys(examples).keys]
    split = Split(np.arange(0, n - 30), np.arange(n - 30, n - 15), np.arange(n - 15, n))
    summary = DataSummary(source="", seen="", modality=backbone.modality, parts=())
    plan = Plan(data="<made>")
    targets, strata = task.targets(examples), task.settings.split_policy(examples).strata
    data = Prepared(examples, plan.columns, keys, task, targets, strata, None, split, summary)
    backbone.module.eval()
    features = extract(backbone, examples, keys, runner=Eager())
    return FitContext(plan, data, backbone, features, work, Quiet(), FeatureStore())


def numbers(work: Path | None = None) -> FitContext:
    features = np.random.default_rng(0).normal(size=(90, 4))
    examples = numeric_examples(features, (features[:, 0] + features[:, 1] > 0).astype(int).tolist())
    return bench_of(TinyBackbone(dropout=0.0), examples, Classification().bind(examples, SHAPES), work)


def test_full_starts_from_the_head_of_the_probe_and_warms_up_for_ten_steps_at_least() -> None:
    context = numbers()
    first = first_head(context, Full(), context.backbone, None)
    assert first.learnt and state_hash(first.head.state_dict()) == state_hash(
        solve_arm(context, "probe").model.heads["head"].state_dict()
    )
    assert [Full().warmed_up(steps).warmup for steps in (4, 20, 100, 400)] == [0.9, 0.5, 0.1, 0.1]
    assert LpFt().warmed_up(4).warmup == 0.1 and Full(warmup_steps=0).warmed_up(4).warmup == 0.1


def test_where_batch_norm_renews_its_statistics_the_head_starts_fresh() -> None:
    context, renewed = numbers(), Full(renew_statistics=True)
    first = first_head(context, renewed, context.backbone, None)
    assert not first.learnt and "BatchNorm's statistics are renewed" in first.decisions[0].reason
    assert has_batch_norm(context.backbone.module) and not has_batch_norm(context.backbone.module[2])


def test_a_rate_at_which_training_breaks_off_counts_where_there_is_no_other() -> None:
    late = {**SHORT, "epochs": 4, "unfrozen_by": 0.9, "rates_tried": (1.0, 1e30), "head_learning_rate": 1e-32}
    arm = train_arm(numbers(), "model", Gradual(**late), "both", None)
    assert arm.progress is not None and not arm.progress.broken_off
    assert arm.chosen["rates_failed"] == 1 and arm.chosen["learning_rate"] == 0.01
    alone = train_arm(numbers(), "model", Gradual(**{**late, "rates_tried": (1e30,)}), "alone", None)
    assert alone.progress is not None and alone.progress.broken_off and alone.progress.history
    assert "(row " in alone.progress.stopped


def test_a_head_alone_trains_on_the_features_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    context = numbers()

    def again(*given: Any, **named: Any) -> None:
        raise AssertionError("the frozen stages have run already")

    monkeypatch.setattr(sources, "extract", again)
    monkeypatch.setattr(TinyBackbone, "segment", again)
    arm = train_arm(context, "model", HeadOnly(**{**SHORT, "epochs": 8}), "head", None)
    monkeypatch.undo()
    assert arm.progress is not None
    losses = [epoch.val_loss for epoch in arm.progress.history]
    assert losses[-1] < losses[0]
    with torch.no_grad():
        logits = arm.model.heads["head"](torch.from_numpy(context.features.pooled(context.data.split.val)))
    loss = torch.nn.functional.cross_entropy(
        logits, torch.from_numpy(context.data.targets["label"])[context.data.split.val]
    )
    assert float(loss) == pytest.approx(min(losses), abs=1e-5)


def test_lp_ft_starts_from_the_head_that_the_solver_finds() -> None:
    context = numbers()
    probe = solve_arm(context, "probe")
    first = first_head(context, LpFt(), context.backbone, probe)
    solved = probe.model.heads["head"].state_dict()
    assert first.learnt
    assert all(value.equal(solved[name]) for name, value in first.head.state_dict().items())
    barely = train_arm(context, "model", LpFt(**{**SHORT, "learning_rate": 1e-12}), "still", None, probe)
    assert all(value.allclose(solved[n], atol=1e-6) for n, value in barely.model.heads["head"].state_dict().items())
    assert barely.progress is not None and barely.decisions[0].value == "solved"
    assert not first_head(context, Gradual(), context.backbone, probe).learnt


def test_the_solved_head_of_the_probe_is_left_as_it_is() -> None:
    context = numbers()
    probe = solve_arm(context, "probe")
    before = {name: value.clone() for name, value in probe.model.heads.state_dict().items()}
    train_arm(context, "model", LpFt(**SHORT), "lp_ft", None, probe)
    assert all(value.equal(before[name]) for name, value in probe.model.heads.state_dict().items())


class Unsolvable(BoundClassification):
    """Classification whose head nobody can solve for."""

    linear_model: ClassVar[None] = None  # type: ignore[assignment]


@pytest.mark.slow
def test_where_no_head_can_be_solved_for_the_probe_is_the_head_trained_on_kept_features() -> None:
    context = numbers()
    task = Unsolvable(**dict(context.data.task))
    context = replace(context, data=replace(context.data, task=task))
    before = state_hash(context.backbone.module.state_dict())
    probe = solve_arm(context, "probe")
    assert probe.progress is not None and state_hash(context.backbone.module.state_dict()) == before
    assert predict_rows(context, probe, context.data.split.test).columns["probabilities"].shape == (15, 2)
    assert solve_arm(context, "probe", refit=True).fit_on == ("train",)


def test_behind_a_decoder_that_nobody_can_solve_for_lp_ft_trains_it_alone_first() -> None:
    examples = masked_pictures(60)
    task = Segmentation(image_side=32).bind(examples, SHAPES)
    backbone = TimmImages(reference="test_resnet", weights="random", image_size=32).load().whole(32)
    arm = train_arm(bench_of(backbone, examples, task), "model", LpFt(**SHORT), "lp_ft", None)
    assert {row.start for row in arm.stages} == {0.3}
    assert arm.decisions[0].value == "random" and "is not linear" in arm.decisions[0].reason


def test_surgical_tells_what_was_measured_and_a_resumed_run_has_the_same_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_arm(numbers(), "model", Surgical(**SHORT), "surgical", None)
    (told,) = [decision for decision in whole.decisions if decision.what == "relative gradient norms"]
    assert all(name in told.value for name in ("stage0", "stage1", "stage2"))
    peaks = [row.learning_rate for row in whole.stages]
    assert max(peaks) == pytest.approx(0.01) and len(set(peaks)) == 3

    monkeypatch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)
    step, done = loop_module.Loop.step, 0

    def dies(self: Any, batches: Any) -> None:
        nonlocal done
        done += 1
        if done == 6:
            raise KeyboardInterrupt
        step(self, batches)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(loop_module.Loop, "step", dies)
        train_arm(numbers(tmp_path), "model", Surgical(**SHORT), "surgical", None)
    resumed = train_arm(numbers(tmp_path), "model", Surgical(**SHORT), "surgical", None)
    assert resumed.stages == whole.stages
    assert resumed.model.backbone.weights_hash() == whole.model.backbone.weights_hash()


def test_rows_say_what_moved_and_how_fast() -> None:
    def rows(tuning: Any) -> list[tuple[str, int, float, float]]:
        arm = train_arm(numbers(), "model", tuning, "an arm", None)
        return [(row.state, row.trained, row.learning_rate, row.start) for row in arm.stages]

    assert [row.state for row in solve_arm(numbers(), "probe").stages] == ["frozen"] * 3
    assert rows(Partial(**SHORT, stage_decay=0.5, last=2)) == [
        ("frozen", 0, 0.0, 0.0),
        ("trained", 88, 0.005, 0.0),
        ("trained", 72, 0.01, 0.0),
    ]
    assert [row[:2] for row in rows(BiasOnly(**SHORT))] == [("trained", 16), ("trained", 16), ("trained", 8)]
    assert [row[3] for row in rows(Gradual(**SHORT, unfrozen_by=0.6))] == pytest.approx([0.6, 0.4, 0.2])
    assert [row[1] for row in rows(Lora(**SHORT, rank=2))] == [2 * (4 + 8), 2 * 16, 2 * 16]


@pytest.mark.slow
def test_an_adapted_model_is_saved_as_an_ordinary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It loads, and does the same, where there is no peft."""
    examples = masked_pictures(60)
    task = Segmentation(image_side=32).bind(examples, SHAPES)
    backbone = TimmImages(reference="test_resnet", weights="random", image_size=32).load().whole(32)
    names, before = list(backbone.module.state_dict()), backbone.weights_hash()
    arm = train_arm(bench_of(backbone, examples, task), "model", Lora(**SHORT), "lora", None)
    assert list(arm.model.backbone.module.state_dict()) == names
    assert arm.model.backbone.weights_hash() != before
    assert int(arm.chosen["adapted_layers"]) > 5
    folder = tmp_path / "model"
    arm.model.save(folder)
    with monkeypatch.context() as patched:
        for name in [name for name in sys.modules if name.partition(".")[0] == "peft"]:
            patched.setitem(sys.modules, name, None)
        assert load_model(folder).backbone.weights_hash() == arm.model.backbone.weights_hash()


def test_a_training_that_fails_leaves_the_backbone_its_plain_weights() -> None:
    context = numbers()
    names = list(context.backbone.module.state_dict())
    with torch.no_grad():
        context.backbone.module[2][0].weight.fill_(float("nan"))
    with pytest.raises(Exception, match="Try a lower learning rate"):
        train_arm(context, "model", Lora(**SHORT), "lora", None)
    assert list(context.backbone.module.state_dict()) == names


@pytest.mark.parametrize("settings", [{"objective": "l2_sp"}, {"settings": {"tuning": {"interpolate": True}}}])
def test_random_weights_are_nothing_to_stay_near(settings: dict[str, Any]) -> None:
    context = numbers()
    context = replace(context, plan=Plan(data="<made>", weights="random", tuning="full", **settings))
    tuning = Full(**SHORT, **settings.get("settings", {}).get("tuning", {}))
    with pytest.raises(TrainingError, match="no pretrained stage moves"):
        train_arm(context, "model", tuning, "full", None)
