"""Fits whose examples come from memory and are judged by somebody else, such as scikit-learn.

All examples are trained on. Features are kept by content, so that a cross-validation runs the backbone once.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.bound_task import bound_task
from headstart.contracts.examples import Examples
from headstart.contracts.modality import raws_of
from headstart.contracts.model import Model, load_model
from headstart.contracts.prediction import Prediction
from headstart.contracts.runner import CannotRun
from headstart.contracts.targets import WEIGHT
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.execution import plain_runner, runner_of
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.infer import Predictor, heads_on_features
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.splits import Split, split
from headstart.kernel.errors import DataError, SettingsError
from headstart.pipeline.budget import Budget
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import choice_of_runner, embed
from headstart.pipeline.memory_data import merged, weighted
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import Prepared, choose_task, require_all, require_classes
from headstart.pipeline.record import DataSummary
from headstart.pipeline.sequence import Start
from headstart.pipeline.trained import Arms
from headstart.pipeline.training import require_whole

VALIDATION = 0.2
"""Share of the examples that is held out where training goes by steps: to stop it and to calibrate."""


def fit_in_memory(examples: Examples, plan: Plan, train: Callable[[FitContext], Arms]) -> Model:
    """The model of the plan's tuning; `train` is how it is trained.

    Raises:
        DataError: labels that cannot serve, inputs that cannot be read, or too few examples to hold some out.
        BackboneError: the backbone cannot be had.
    """
    begun = start_in_memory(examples, plan)
    with TemporaryDirectory() as folder:
        context = begun.embedded(Path(folder) if plan.tuning == AUTO else None)
        model = train(context).trained[0]
    if plan.tuning != AUTO:
        require_whole(model.progress)
    return model.model


def start_in_memory(examples: Examples, plan: Plan) -> Start:
    """Hold a part out where training goes by steps, load the backbone, bind the task. Raises as `fit_in_memory`."""
    task, _ = choose_task(examples, plan)
    keys = cast("Sequence[str]", content_keys(examples).keys)  # an input that cannot be read has none: it ends the fit
    solved = plan.plugin("tuning").solved
    if solved and None not in keys:
        examples, keys = merged(examples, keys)
    elif weights := examples.weights():
        examples = weighted(examples, weights[WEIGHT] / weights[WEIGHT].mean())
    spec, strata = FeatureSpec(), task.split_policy(examples).strata
    rows, none = np.arange(len(examples)), np.array([], dtype=np.int64)
    parts = Split(rows, none, none) if solved else held_out(strata, keys, plan.seed)
    backbone, _, _ = choose_backbone(examples, plan)
    backbone.learn_decoding(raws_of(examples, parts.train))
    bound = bound_task(task, examples, backbone)
    require_classes(plan, bound)
    targets = bound.targets(examples)
    summary = DataSummary(source=plan.data, seen="in memory", modality=examples.schema.modality, parts=())
    data = Prepared(examples, plan.columns, keys, bound, targets, strata, None, parts, summary)
    choice = choice_of_runner(backbone, examples, keys, spec, plan.named_runner())
    plan, store = plan.model_copy(update={"scratch": False}), _store(backbone)
    return Start(plan, data, data, backbone, spec, choice, store, Budget(), all_needed=True)


def predict_in_memory(model: Model, examples: Examples, plan: Plan) -> Prediction:
    """The finished prediction of a model that was fitted by the same plan. Raises DataError as `fit_in_memory` does."""
    if plan.plugin("tuning").solved:
        return heads_on_features(model, _pooled(model, examples))
    predicted = Predictor(model)(examples)
    require_all(examples, predicted.failures)
    if predicted.prediction is None:
        raise DataError("there is nothing to predict: no rows were given")
    return predicted.prediction


def features_in_memory(model: Model, examples: Examples, plan: Plan) -> np.ndarray:
    """The features (examples, width) float32 that the model's head reads. Raises DataError as `fit_in_memory` does."""
    if plan.plugin("tuning").solved:
        return _pooled(model, examples)
    found = embed(model.backbone, examples, runner=plain_runner())
    require_all(examples, found.failures)
    return found.pooled()


def held_out(strata: np.ndarray, keys: Sequence[str], seed: int) -> Split:
    """Training and validation parts by strata (examples,) and content keys; copies stay on one side.

    Raises:
        DataError: nothing can be held out.
    """
    copies = np.unique([str(key) for key in keys], return_inverse=True)[1]
    parts = split(strata, clusters=copies, keys=keys, seed=seed, val=VALIDATION, test=0.0)
    if not len(parts.val):
        raise DataError(
            f"{len(keys)} examples ({len(set(keys))} different ones) are too few to hold out a part, by which training"
            " in steps is stopped; use tuning='probe' or give more examples"
        )
    return parts


def to_bytes(model: Model) -> bytes:
    """The files of a saved model as a ZIP archive, for what wants a value and not a folder, such as pickle.

    Unlike live modules, saved files depend on no device and on no library's private attributes. Raises HeadstartError
    where there is no temporary room.
    """
    archive = io.BytesIO()
    with TemporaryDirectory(prefix="headstart-") as folder, zipfile.ZipFile(archive, "w") as files:
        model.save(Path(folder))
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                files.write(path, path.relative_to(folder))
    return archive.getvalue()


def from_bytes(content: bytes) -> Model:
    """The model in an archive that `to_bytes` made, on the CPU. Raises RunError as `load_model` does."""
    with TemporaryDirectory(prefix="headstart-") as folder:
        with zipfile.ZipFile(io.BytesIO(content)) as files:
            files.extractall(folder)
        return load_model(Path(folder))


def _pooled(model: Model, examples: Examples) -> np.ndarray:
    """Features on the runner of the model's own; in plain PyTorch where that one does not do."""
    keys, store = content_keys(examples).keys, _store(model.backbone)
    try:
        found = embed(model.backbone, examples, keys=keys, runner=runner_of(model.execution), store=store)
    except (CannotRun, SettingsError):  # fitted elsewhere
        found = embed(model.backbone, examples, keys=keys, runner=plain_runner(), store=store)
    require_all(examples, found.failures)
    return found.pooled()


def _store(backbone: Backbone) -> FeatureStore | None:
    """Features are kept on disk only where a backbone has weights to save the work of."""
    return FeatureStore() if any(True for _ in backbone.module.parameters()) else None
