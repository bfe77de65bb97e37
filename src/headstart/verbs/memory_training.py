"""Training and predicting where examples come from memory and evaluating is somebody else's, such as scikit-learn's.

All examples are trained on. Features are kept by content, so that a cross-validation runs the backbone once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Prediction
from headstart.contracts.examples import Examples
from headstart.contracts.model import Model
from headstart.contracts.runner import CannotRun, Runner
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.execution import plain_runner, runner_of
from headstart.engine.frozen.extract import Extracted, extract
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.infer import Predictor, heads_on_features
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.splits import Split, split
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.progress import Quiet
from headstart.pipeline.arms import FitContext, solve_arm
from headstart.pipeline.budget import TimeBudget
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.defaults_by_size import with_enough_epochs
from headstart.pipeline.interrupted_training import require_whole
from headstart.pipeline.pick_runner import pick_runner
from headstart.pipeline.plan import AUTO, Plan
from headstart.pipeline.prepare import Prepared, choose_task
from headstart.pipeline.record import DataSummary
from headstart.pipeline.refit import solved_again, trained_and_refitted
from headstart.search.search import Search

VALIDATION = 0.2
"""Share of the examples that is held out where training goes by steps: to stop it and to calibrate."""


def train(examples: Examples, plan: Plan) -> Model:
    """The model of the plan's tuning.

    Raises:
        DataError: labels that cannot serve, inputs that cannot be read, or too few examples to hold some out.
        BackboneError: the backbone cannot be had.
    """
    chosen, _ = choose_task(examples, plan)
    backbone, _, _ = choose_backbone(examples, plan)
    task = chosen.bind(examples)
    targets = task.targets(examples)
    hashed = content_keys(examples)
    runner, _ = pick_runner(backbone, examples, hashed.keys, FeatureSpec(), plan)
    features = _frozen_pass(backbone, examples, hashed.keys, runner)
    keys = [str(key) for key in hashed.keys]
    tuning = plan.plugin("tuning")
    rows, none = np.arange(len(examples)), np.array([], dtype=np.int64)
    parts = Split(rows, none, none) if tuning.solved else held_out(task.strata(targets), keys, plan.seed)
    summary = DataSummary(source=plan.data, seen="in memory", modality=examples.schema.modality, parts=())
    data = Prepared(examples, plan.columns, keys, task, targets, None, parts, summary, ())
    context = FitContext(plan, data, backbone, features, None, Quiet(), runner)
    if plan.tuning == AUTO:
        return _searched(context)
    if tuning.solved:
        return solve_arm(context, "model").model
    recipe, _ = with_enough_epochs(tuning, len(parts.train))
    trained = trained_and_refitted(context, recipe, plan.tuning, None)
    require_whole(trained.progress)
    return trained.model


def _searched(context: FitContext) -> Model:
    """The model that a search finds; its trainings lie in a folder that goes afterwards."""
    with TemporaryDirectory() as folder:
        context = replace(context, work=Path(folder))
        probe = solve_arm(context, "probe")
        found = Search(context, probe, TimeBudget(None), 0.0).run()
        return (found.arm or solved_again(context, probe)).model


def predict(model: Model, examples: Examples, plan: Plan) -> Prediction:
    """The finished prediction of a model that `train` made by the same plan. Raises DataError as `train` does."""
    if plan.plugin("tuning").solved:
        return heads_on_features(model, _features_for(model, examples).pooled())
    predicted = Predictor(model)(examples)
    _require_all(examples, predicted.failures)
    if predicted.prediction is None:
        raise DataError("there is nothing to predict: no rows are given")
    return predicted.prediction


def _features_for(model: Model, examples: Examples) -> Extracted:
    """On the runner of the model's features; in plain PyTorch where that one does not do."""
    keys = content_keys(examples).keys
    try:
        return _frozen_pass(model.backbone, examples, keys, runner_of(model.execution))
    except (CannotRun, SettingsError):  # fitted elsewhere
        return _frozen_pass(model.backbone, examples, keys, plain_runner())


def held_out(strata: np.ndarray, keys: Sequence[str], seed: int) -> Split:
    """Training and validation parts by strata (examples,) and content keys; copies stay on one side.

    Raises:
        DataError: nothing can be held out.
    """
    copies = np.unique(keys, return_inverse=True)[1]
    parts = split(strata, clusters=copies, keys=keys, seed=seed, val=VALIDATION, test=0.0)
    if not len(parts.val):
        raise DataError(
            f"{len(keys)} examples ({len(set(keys))} different ones) are too few to hold out a part, by which training"
            " in steps is stopped; use tuning='probe' or give more examples"
        )
    return parts


def _frozen_pass(backbone: Backbone, examples: Examples, keys: Sequence[str | None], runner: Runner) -> Extracted:
    """Pooled features of all examples; kept on disk only where a backbone has weights to save the work of."""
    store = FeatureStore() if any(True for _ in backbone.module.parameters()) else None
    found = extract(backbone, examples, keys, runner=runner, store=store)
    _require_all(examples, found.failures)
    return found


def _require_all(examples: Examples, failures: Mapping[int, str]) -> None:
    if failures:
        row, reason = min(failures.items())
        raise DataError(f"{len(failures)} of {len(examples)} inputs cannot be read: {examples.origins()[row]} {reason}")
