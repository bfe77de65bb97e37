"""Arms: the ways that are tried on the same data - the model asked for, the frozen probe, training from scratch."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.contracts.backbone import Backbone, state_hash
from headstart.contracts.carriers import Deferred, Prediction
from headstart.contracts.composed_augmentation import Composed
from headstart.contracts.model import Model, new_head
from headstart.contracts.task import Task
from headstart.contracts.tuning import Recipe
from headstart.engine.checkpoint import CheckpointFile, Progress
from headstart.engine.feeding import lengths_of
from headstart.engine.infer import Predictor, heads_on_features, predict_stored
from headstart.engine.loop import Loop
from headstart.engine.loop import Plan as LoopPlan
from headstart.engine.streams import Stream, by_length
from headstart.kernel.errors import DataError, SettingsError, TrainingError
from headstart.kernel.files import hash_json
from headstart.kernel.randomness import draw_seed
from headstart.product.bench import Bench
from headstart.product.record import Decision
from headstart.product.samples import sampled
from headstart.product.view_averaging import averaged_where_better, views_averaged
from headstart.product.views import Beginning, beginning


@dataclass(frozen=True)
class Trained:
    """An arm that has its model."""

    key: str
    title: str
    model: Model
    seconds: float
    chosen: Mapping[str, float | int | str]
    progress: Progress | None = None
    """None when the arm was solved."""
    decisions: tuple[Decision, ...] = ()
    """What was chosen for its training, and why."""


def solve_arm(bench: Bench, key: str) -> Trained:
    """The task's own solver on the frozen features of the training part, calibrated on validation."""
    started = time.monotonic()
    data, train = bench.read, bench.read.split.train
    task = data.task.linear()
    groups = None if data.groups is None else data.groups[train]
    if task.reads == "pooled":
        features, targets = bench.features.pooled(train), data.targets_of(train)
    else:
        features, targets, owners = sampled(bench, train)
        groups = owners if data.groups is None else data.groups[owners]
    head, chosen = task.solve(features, targets, groups, bench.plan.seed)
    model = _model(bench, bench.backbone, head, task)
    return _calibrated(
        bench, Trained(key, f"linear probe on {bench.backbone.name}", model, time.monotonic() - started, chosen)
    )


def train_arm(bench: Bench, key: str, tuning: Any, title: str, budget: float | None) -> Trained:
    """Training by steps, at each of the recipe's rates; the best on validation is kept.

    Raises:
        TrainingError: a loss is not finite at any of the rates, or nothing would move.
        DataError: there is no validation part.
    """
    if not len(bench.data.split.val):
        raise DataError(
            f"there is no validation part to choose the best epoch on: {len(bench.data.examples)} usable examples are "
            "too few. Use --tuning probe, which needs none, or label more."
        )
    backbone = bench.backbone
    if tuning.start == "random":
        backbone = backbone.fresh(draw_seed(bench.plan.seed, "random weights"))
    bench.plan.suit(backbone.modality)
    frozen = boundary(tuning, bench.plan.plugin("objective"), len(backbone.stages))
    begun = beginning(bench, backbone, tuning, frozen, key, budget)
    averaging = views_averaged(bench, begun.bound)
    left = None if budget is None else max(0.0, budget - begun.seconds)
    attempts = _attempts(bench, key, tuning, backbone, left, begun)
    best = min(attempts, key=lambda attempt: attempt.progress.best_loss)
    backbone.module.load_state_dict(best.state)
    failed = len(tuning.rates_tried) - len(attempts)
    chosen: dict[str, float | int | str] = {
        "learning_rate": best.recipe.learning_rate,
        "rates_tried": len(tuning.rates_tried),
        **({"rates_failed": failed} if failed else {}),
        "best_epoch": best.progress.best_epoch + 1,
        "epochs": len(best.progress.history),
    }
    model = _model(bench, backbone, best.head)
    seconds = sum(attempt.progress.seconds for attempt in attempts)  # with those before an interruption
    trained = Trained(key, title, model, begun.seconds + seconds, chosen, best.progress, begun.decisions)
    return _averaging(bench, _calibrated(bench, trained), begun.bound, averaging)


@dataclass(frozen=True)
class _Attempt:
    """What one rate came to."""

    recipe: Recipe
    progress: Progress
    state: Mapping[str, torch.Tensor]
    """Of the backbone."""
    head: nn.Module


def _averaging(bench: Bench, arm: Trained, augmentation: Composed, views: int) -> Trained:
    """The arm with its predictions averaged over views where that is better."""
    if not views:
        return arm
    model, decision = averaged_where_better(bench, arm.model, augmentation, views)
    return replace(arm, model=model, decisions=(*arm.decisions, decision))


def _attempts(
    bench: Bench, key: str, tuning: Any, backbone: Backbone, budget: float | None, begun: Beginning
) -> list[_Attempt]:
    """A training at each rate, each from the same start; one that fails is told of while another can take its place."""
    initial = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
    share = None if budget is None else budget / len(tuning.rates_tried)
    attempts: list[_Attempt] = []
    for factor in tuning.rates_tried:
        backbone.module.load_state_dict(initial)
        model, recipe = _model(bench, backbone, fresh_head(bench, backbone)), _scaled(tuning, factor)
        try:
            progress = _one_training(bench, f"{key}-{factor:g}", model, recipe, share, begun)
        except TrainingError as error:
            if not attempts and factor == tuning.rates_tried[-1]:
                raise
            bench.reporter.say(f"Learning rate {recipe.learning_rate:g} is left out: {error}")
            continue
        state = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
        attempts.append(_Attempt(recipe, progress, state, model.heads["head"]))
    return attempts


def predict_rows(bench: Bench, arm: Trained, rows: np.ndarray) -> Prediction:
    """The arm's calibrated prediction for some rows: from the stored features where the backbone stayed as it was."""
    if arm.progress is None and bench.data.task.reads == "pooled":
        return heads_on_features(arm.model, bench.features.pooled(rows))
    if arm.progress is None and bench.pieces is None and bench.features.wish.keep == "state":
        queries = bench.data.task.queries(bench.data.examples)
        return predict_stored(arm.model, bench.features, rows, queries=queries)
    predicted = Predictor(arm.model, reporter=bench.reporter)(bench.data.examples.take(rows))
    if predicted.prediction is None or predicted.failures:
        row, reason = next(iter(predicted.failures.items()))
        raise DataError(f"{bench.data.examples.origins()[rows[row]]} could be read before and now {reason}")
    return predicted.prediction


def fresh_head(bench: Bench, backbone: Backbone) -> nn.Module:
    """A head at its start: that of the run which is continued, else its random weights are a function of the seed."""
    if bench.head is not None and backbone is bench.backbone:
        return copy.deepcopy(bench.head)
    with torch.random.fork_rng():
        torch.manual_seed(draw_seed(bench.plan.seed, "head"))
        return new_head(bench.data.task, backbone)


def boundary(tuning: Any, objective: Any, stages: int) -> int:
    """The first stage that tuning or objective touch; what lies before it is frozen for good, and states can be kept.

    Raises:
        SettingsError: the objective needs a stage to move that the tuning keeps frozen.
    """
    moves, needs = tuning.first_stage(stages), objective.first_stage(stages)
    if needs < moves:
        raise SettingsError(
            f"the objective works on stage {needs + 1} of {stages}, the tuning moves nothing before stage {moves + 1}: "
            "it would train nothing. Choose a tuning that moves more, such as full."
        )
    return int(min(moves, needs))


def _one_training(
    bench: Bench, key: str, model: Model, tuning: Any, budget: float | None, begun: Beginning
) -> Progress:
    data, plan = bench.read, bench.plan
    objective, stages = plan.plugin("objective"), len(model.backbone.stages)
    model.additions.update(objective.additions(model.backbone.width))
    queries = data.task.queries(data.examples)
    lengths = lengths_of(model.backbone, data.examples, np.arange(len(data.examples)))
    labelled = Stream(
        "labelled",
        data.split.train,
        data.targets,
        begun.source,
        tuning.batch_size,
        plan.seed,
        begun.augmentation,
        queries,
        lengths,
        begun.views,
    )
    in_order = by_length(data.split.val, lengths)
    validation = replace(labelled, name="validation", rows=in_order, augmentation=None, views=())
    loop_plan = LoopPlan(objective, tuning, tuning.rates(stages), begun.start, plan.seed, budget)
    checkpoint = None
    if bench.work is not None:
        checkpoint = CheckpointFile(bench.work / f"{key}.checkpoint", _identity(bench, model, tuning))
    return Loop(
        model, loop_plan, {"labelled": labelled}, validation, checkpoint=checkpoint, reporter=bench.reporter
    ).run()


def _identity(bench: Bench, model: Model, tuning: Any) -> str:
    """A hash of all that decides a training, so that one with a corrected label does not go on from the wrong one."""
    data = bench.read
    targets = {name: [_content(value) for value in values.tolist()] for name, values in data.targets.items()}
    parts = {name: rows.tolist() for name, rows in data.parts().items()}
    weights = [model.backbone.weights_hash(), state_hash(model.heads.state_dict())]
    return hash_json([bench.plan.model_dump(mode="json"), tuning.model_dump(), data.keys, targets, parts, weights])


def _content(target: Any) -> Any:
    """A target as a JSON value."""
    if isinstance(target, np.ndarray):
        return target.tolist()
    return target.key if isinstance(target, Deferred) else target


def _scaled(tuning: Recipe, factor: float) -> Recipe:
    rates = {name: getattr(tuning, name) * factor for name in ("learning_rate", "head_learning_rate")}
    return tuning.model_copy(update=rates)


def _model(bench: Bench, backbone: Backbone, head: nn.Module, task: Task | None = None) -> Model:
    heads = nn.ModuleDict({"head": head})
    return Model(backbone, task or bench.data.task, heads, bench.data.columns, bench.execution)


def _calibrated(bench: Bench, arm: Trained) -> Trained:
    rows = bench.data.split.val
    arm.model.eval()
    if len(rows):
        prediction = predict_rows(bench, arm, rows)
        arm.model.calibration = bench.data.task.calibrate(prediction, bench.data.targets_of(rows))
    return replace(arm, chosen={**arm.chosen, **arm.model.calibration})
