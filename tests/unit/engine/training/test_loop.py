from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from head_shapes import SHAPES
from headstart.contracts.backbone import state_hash
from headstart.contracts.format import Columns
from headstart.contracts.model import Model
from headstart.contracts.objective import Step
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.streams import PreparedInputs, Stream
from headstart.engine.training import loop as loop_module
from headstart.engine.training import stepping
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.finite import BrokenOffError
from headstart.engine.training.loop import Loop, TrainingPlan
from headstart.engine.training.optimiser import frozen_state, schedule
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.kernel.randomness import draw_seed
from headstart.objectives.supervised import Supervised
from headstart.tasks.classification.task import BoundClassification, Classification
from tiny_backbone import TinyBackbone, numeric_examples

EVERYTHING = tuple(Rate(stage, 1.0) for stage in (-1, 0, 1, 2))
RECIPE = Recipe(epochs=6, batch_size=16, learning_rate=0.01, head_learning_rate=0.02, patience=3, renew_statistics=True)


def make_loop(
    recipe: Recipe = RECIPE,
    rates: tuple[Rate, ...] = EVERYTHING,
    *,
    checkpoint: CheckpointFile | None = None,
    objective: Any = None,
    budget: float | None = None,
    features: np.ndarray | None = None,
) -> Loop:
    draws = np.random.default_rng(0)
    if features is None:
        features = draws.normal(size=(96, 4))
    labels = (features[:, 0] + features[:, 1] > 0).astype(int)
    examples = numeric_examples(features, labels.tolist())
    task = Classification().bind(examples, SHAPES)
    backbone = TinyBackbone()
    torch.manual_seed(0)
    heads = nn.ModuleDict({"head": task.head(backbone)})
    model = Model(backbone, task, heads, Columns(), {"runner": "eager"})
    source = PreparedInputs(backbone, examples)
    targets = task.targets(examples)
    train = Stream("source", np.arange(64), targets, source, recipe.batch_size, 0)
    validation = Stream("validation", np.arange(64, 96), targets, source, recipe.batch_size, 0)
    plan = TrainingPlan(objective or Supervised(), recipe, rates, 0, 0, budget)
    return Loop(model, plan, {"source": train}, validation, checkpoint=checkpoint)


def weights(loop: Loop) -> str:
    return state_hash({**loop.model.backbone.module.state_dict(), **loop.model.heads.state_dict()})


def test_training_learns_and_keeps_the_best_weights() -> None:
    loop = make_loop(RECIPE.model_copy(update={"epochs": 30, "patience": 30}))
    progress = loop.run()
    losses = [epoch.val_loss for epoch in progress.history]
    assert progress.history[-1].train_loss < progress.history[0].train_loss * 0.7
    assert progress.best_epoch == int(np.argmin(losses))
    assert loop.validate()[0] == pytest.approx(min(losses), rel=1e-5)
    assert loop.validate()[1] > 0.8


def test_a_task_that_is_chosen_by_its_metric_keeps_the_epoch_that_is_best_by_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 12, "patience": 12, "learning_rate": 0.05})
    by_loss = make_loop(recipe).run()
    own = BoundClassification.evaluation.fget
    by_metric_too = property(lambda task: replace(own(task), chosen_by="metric"))
    monkeypatch.setattr(BoundClassification, "evaluation", by_metric_too)
    loop = make_loop(recipe)
    by_metric = loop.run()
    accuracies = [epoch.val_metric for epoch in by_metric.history]
    order = [(-epoch.val_metric, epoch.val_loss) for epoch in by_metric.history]
    assert by_metric.best_epoch == order.index(min(order)) != by_loss.best_epoch
    assert by_metric.best_cost == pytest.approx(-max(accuracies), abs=1e-5)
    assert loop.validate().metric == max(accuracies)


def test_one_step_equals_the_same_step_written_out_by_hand() -> None:
    rates = {"learning_rate": 0.01, "head_learning_rate": 0.02, "clip": 0.5, "warmup": 0.0}
    recipe = Recipe(epochs=1, batch_size=64, precision="float32", renew_statistics=True, **rates)  # type: ignore[arg-type]
    loop = make_loop(recipe)
    by_hand = make_loop(recipe)
    loop.run()

    model = by_hand.model
    network = nn.Sequential(model.backbone.module, model.heads["head"])
    network.train()
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    head = {id(p) for p in model.heads.parameters()}
    groups = [
        {"params": [p], "lr": 0.02 if id(p) in head else 0.01, "weight_decay": decay}
        for part, decay in ((decayed, 0.01), (plain, 0.0))
        for p in part
    ]
    optimiser = torch.optim.AdamW(groups)
    rows = by_hand.streams["source"].order(0)[0]
    batch = by_hand.streams["source"].batch(rows, 0)
    torch.manual_seed(draw_seed(0, "step", 0, 0, 0))
    nn.functional.cross_entropy(network(batch.state.hidden), batch.targets["label"]).backward()
    nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    optimiser.step()
    expected = {**model.backbone.module.state_dict(), **model.heads.state_dict()}
    found = {**loop.model.backbone.module.state_dict(), **loop.model.heads.state_dict()}
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6, msg=name)


def test_rates_follow_warm_up_and_cosine_over_the_whole_training(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    original = stepping.set_rates

    def spy(optimiser: Any, recipe: Recipe, progress: float) -> float:
        seen.append(progress)
        return original(optimiser, recipe, progress)

    monkeypatch.setattr(stepping, "set_rates", spy)
    make_loop(RECIPE.model_copy(update={"epochs": 3, "patience": 9})).run()
    assert seen == pytest.approx([step / 12 for step in range(12)])
    assert schedule(RECIPE.warmup, seen[-1]) < 0.1


def test_what_is_frozen_stays_bit_for_bit_also_batchnorm() -> None:
    loop = make_loop(rates=(Rate(-1, 1.0), Rate(2, 1.0)))
    before = state_hash(frozen_state(loop.model.backbone, {-1, 2}))
    moving_before = state_hash({n: t.clone() for n, t in loop.model.backbone.module[2].state_dict().items()})
    loop.run()
    assert state_hash(frozen_state(loop.model.backbone, {-1, 2})) == before
    assert state_hash(loop.model.backbone.module[2].state_dict()) != moving_before


def test_something_frozen_that_changes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(rates=(Rate(-1, 1.0),))
    original = loop.step

    def meddle(batches: Any) -> None:
        with torch.no_grad():
            loop.model.backbone.module[0][0].weight.add_(1)
        original(batches)

    monkeypatch.setattr(loop, "step", meddle)
    with pytest.raises(TrainingError, match="frozen stage changed"):
        loop.run()


def test_two_runs_of_one_seed_are_the_same_run() -> None:
    one, other = make_loop(), make_loop()
    one.run()
    torch.manual_seed(12345)
    other.run()
    assert weights(one) == weights(other)


def test_patience_ends_the_training_and_says_so() -> None:
    noise = np.random.default_rng(1).normal(size=(96, 4))
    recipe = RECIPE.model_copy(update={"epochs": 200, "patience": 2, "learning_rate": 0.3})
    progress = make_loop(recipe, features=noise).run()
    assert progress.stopped == "nothing better on validation in 2 epochs"
    assert len(progress.history) == progress.best_epoch + 1 + 2


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [0, 1, 5, 9, 17, 23])
def test_a_training_killed_at_any_step_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    monkeypatch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)
    whole = make_loop()
    whole.run()
    file = CheckpointFile(tmp_path / "a.checkpoint", "same")
    broken = make_loop(checkpoint=file)
    original, steps = broken.step, 0

    def dies(batches: Any) -> None:
        nonlocal steps
        if steps == killed_at:
            raise KeyboardInterrupt
        steps += 1
        original(batches)

    monkeypatch.setattr(broken, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    resumed = make_loop(checkpoint=CheckpointFile(tmp_path / "a.checkpoint", "same"))
    progress = resumed.run()
    assert weights(resumed) == weights(whole)
    assert [e.val_loss for e in progress.history] == [e.val_loss for e in whole.progress.history]


def test_ctrl_c_lets_the_step_end_and_loses_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = make_loop()
    whole.run()
    stopped = make_loop(checkpoint=CheckpointFile(tmp_path / "a.checkpoint", "same"))
    resumed = make_loop(checkpoint=CheckpointFile(tmp_path / "a.checkpoint", "same"))
    done = {"stopped": 0, "resumed": 0}
    original = {"stopped": stopped.step, "resumed": resumed.step}

    def step(name: str, batches: Any) -> None:
        done[name] += 1
        if done["stopped"] == 6:
            signal.raise_signal(signal.SIGINT)
        original[name](batches)

    monkeypatch.setattr(stopped, "step", partial(step, "stopped"))
    monkeypatch.setattr(resumed, "step", partial(step, "resumed"))
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    done["stopped"] = 0
    resumed.run()
    assert done["resumed"] == len(whole.progress.history) * whole.steps - 6
    assert weights(resumed) == weights(whole)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "a.checkpoint", "same")
    first = make_loop(checkpoint=file)
    first.run()
    second = make_loop(checkpoint=file)
    second.step = None  # type: ignore[method-assign, assignment]
    assert second.run().stopped
    assert weights(second) == weights(first)


class Explodes(Supervised):
    def losses(self, step: Step) -> Mapping[str, Tensor]:
        scale = torch.nan if step.progress > 0.4 else 1.0
        return {name: loss * scale for name, loss in super().losses(step).items()}


class Grows(Supervised):
    """Needs more memory than there is once some of the training is done."""

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        if step.progress > 0.4:
            raise torch.OutOfMemoryError("out of memory")
        return super().losses(step)


def test_nan_stops_with_the_place_and_keeps_the_best_weights() -> None:
    loop = make_loop(objective=Explodes())
    progress = loop.run()
    assert re.search(r"'cross_entropy' became nan in epoch 3, step \d.*lower learning rate", progress.stopped)
    assert progress.broken_off and progress.finished and len(progress.history) == 2
    assert all(bool(torch.isfinite(p).all()) for p in loop.model.backbone.module.parameters())
    assert loop.validate()[0] == pytest.approx(loop.progress.best_cost, rel=1e-5)


def test_nan_in_validation_stops_too_and_is_never_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop()
    head, step = loop.model.heads["head"].weight, loop.step

    def ruining(batches: Any) -> None:
        step(batches)
        if (loop.progress.epoch, loop.progress.step) == (2, loop.steps - 1):
            head.data.fill_(torch.nan)

    monkeypatch.setattr(loop, "step", ruining)
    progress = loop.run()
    said = r"validation loss became nan in epoch 3 \(row \d+, .* and \d more\); it first appeared in head\.head\. Try"
    assert progress.broken_off and re.search(said, progress.stopped)
    assert len(progress.history) == 2
    assert bool(torch.isfinite(head).all())


def test_memory_that_is_too_small_later_on_keeps_the_best_weights() -> None:
    loop = make_loop(objective=Grows())
    progress = loop.run()
    assert progress.broken_off and "too small for a single example" in progress.stopped
    assert "learning rate" not in progress.stopped
    assert loop.validate()[0] == pytest.approx(progress.best_cost, rel=1e-5)


def test_a_soup_of_no_finite_loss_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(RECIPE.model_copy(update={"interpolate": True}))
    head, load = loop.model.heads["head"].weight, loop.weights.load

    def ruining(weights: Mapping[str, Tensor]) -> None:
        load(weights)
        if loop.progress.stopped and not loop.progress.finished:
            head.data.fill_(torch.nan)

    monkeypatch.setattr(loop.weights, "load", ruining)
    progress = loop.run()
    assert progress.finished and not progress.broken_off and progress.alpha == 1.0


def test_nan_names_the_layer_it_first_appeared_in() -> None:
    loop = make_loop()
    with torch.no_grad():
        loop.model.backbone.module[1][0].weight.fill_(torch.inf)
    with pytest.raises(TrainingError, match=r"first appeared in backbone\.1\.0"):
        loop.run()


@pytest.mark.slow
def test_a_budget_decides_the_epochs_and_is_kept() -> None:
    progress = make_loop(RECIPE.model_copy(update={"epochs": 100_000, "patience": 100_000}), budget=0.5).run()
    assert 1 <= progress.epochs < 100_000
    assert progress.stopped


def test_trial_steps_for_a_budget_leave_no_trace() -> None:
    free, timed = make_loop(), make_loop(budget=1000.0)
    free.run()
    timed.run()
    assert timed.progress.epochs == free.progress.epochs
    assert weights(timed) == weights(free)


def test_the_global_random_state_is_left_alone() -> None:
    loop = make_loop()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    loop.run()
    assert torch.equal(torch.rand(1), expected)


class TwoStreams(Supervised):
    streams = ("source", "target")

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        unlabelled = step.features(step.batches["target"]).pooled
        return {**super().losses(step), "far": 0.1 * unlabelled.square().mean()}


def test_an_objective_may_draw_from_several_streams() -> None:
    loop = make_loop()
    short = Stream("target", np.arange(64, 80), {}, loop.streams["source"].source, 16, 0)
    plan = replace(loop.plan, objective=TwoStreams())
    both = Loop(loop.model, plan, {**loop.streams, "target": short}, loop.validation.stream)
    assert both.run().history[0].train_loss > 0


def test_a_stream_that_is_missing_or_empty_is_refused_by_name() -> None:
    loop = make_loop()
    plan, judged = replace(loop.plan, objective=TwoStreams()), loop.validation.stream
    with pytest.raises(SettingsError, match="stream 'target', which the data do not have"):
        Loop(loop.model, plan, loop.streams, judged)
    empty = replace(loop.streams["source"], name="target", rows=np.arange(0))
    with pytest.raises(SettingsError, match="stream 'target', which has no training rows"):
        Loop(loop.model, plan, {**loop.streams, "target": empty}, judged)


class SteepSomewhere(Supervised):
    """From the middle of the training on the gradient of one row is infinite; the loss is finite throughout."""

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        found = super().losses(step)
        batch = step.batches["source"]
        if step.progress <= 0.4 or 5 not in batch.rows.tolist():
            return found
        pooled = step.features(batch).pooled
        return {**found, "steep": (pooled - pooled.detach()).abs().sqrt().sum()}


def test_a_gradient_that_is_not_finite_stops_with_the_place_and_the_rows_and_keeps_the_best_weights() -> None:
    loop = make_loop(objective=SteepSomewhere())
    stopped = loop.run().stopped
    assert re.search(r"epoch \d, step \d \((row \d+, ){7}row \d+ and 8 more\); going back.*backbone\.2\.1", stopped)
    assert all(bool(torch.isfinite(p).all()) for p in loop.model.backbone.module.parameters())
    assert loop.validate()[0] == pytest.approx(loop.progress.best_cost, rel=1e-5)


def test_a_gradient_is_looked_at_also_where_it_is_not_clipped() -> None:
    loop = make_loop(RECIPE.model_copy(update={"clip": 0.0}), objective=SteepSomewhere())
    assert "gradient ceased to be finite" in loop.run().stopped


def test_a_failure_before_the_first_validation_leaves_the_weights_as_they_were() -> None:
    loop = make_loop(RECIPE.model_copy(update={"learning_rate": 1e20, "head_learning_rate": 1e20, "warmup": 0.0}))
    before = weights(loop)
    with pytest.raises(BrokenOffError):
        loop.run()
    assert weights(loop) == before


class LaidOutOtherwise(Supervised):
    """Fills the gradients itself, the matrices' lying by columns in memory."""

    def combine(self, losses: Mapping[str, Tensor], parameters: Any) -> None:
        for parameter, gradient in zip(parameters, torch.autograd.grad(list(losses.values()), parameters)):
            parameter.grad = gradient.t().contiguous().t() if gradient.ndim == 2 else gradient


def test_gradients_may_lie_in_memory_otherwise_than_their_weights() -> None:
    plain, own = make_loop(), make_loop(objective=LaidOutOtherwise())
    plain.run()
    own.run()
    for name, tensor in plain.weights.live().items():
        torch.testing.assert_close(own.weights.live()[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
