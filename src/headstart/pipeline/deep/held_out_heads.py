"""Labels held against heads that were trained without them by steps, of tasks whose head cannot be solved for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.contracts.prediction import Prediction
from headstart.contracts.task_capabilities import DoubtfulLabel, Doubts
from headstart.evidence.folds import folds
from headstart.kernel.errors import DataError
from headstart.pipeline.arms import is_probe_by_steps, train_arm, usual_head
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import enough_epochs

FOLDS = 2
EPOCHS = 12
"""Passes over a fold's examples at most, where these are many: the heads need not be the best."""


def doubtful_labels(context: FitContext) -> tuple[DoubtfulLabel, ...]:
    """Return labels that heads trained on the other half of the examples contradict.

    Raises:
        DataError: there are too few examples. TrainingError: a head cannot be trained.
    """
    data, rows, task = context.read, context.features.rows, context.read.task
    if not isinstance(task, Doubts):
        return ()
    units = data.kept_together(rows)
    number = len(rows) if units is None else len(np.unique(units))
    if number < 2 * FOLDS:
        raise DataError(f"{number} examples, or groups of them, are too few for {FOLDS} heads")
    found, order = [], []
    for at, fold in enumerate(folds(np.arange(len(rows)), data.strata[rows], units, FOLDS, context.plan.seed)):
        found.append(held_out_by_steps(context, f"held-out head {at + 1}", rows[fold.rest], rows[fold.held]))
        order.append(rows[fold.held])
    held = np.concatenate(order)
    doubts = task.doubts(Prediction.join(found), data.targets_of(held))
    return tuple(one._replace(row=int(held[one.row])) for one in doubts)


def held_out_by_steps(context: FitContext, name: str, rest: np.ndarray, held: np.ndarray) -> Prediction:
    """Return the prediction for the rows `held` (some,) by a head that was trained on the `rest` (others,), as the
    frozen probe is.

    Raises:
        DataError: examples are cut into windows. TrainingError: the head cannot be trained.
    """
    split = replace(context.data.split, train=rest, val=held, test=np.empty(0, np.int64))
    seen = replace(context, data=replace(context.data, split=split), work=None)
    recipe = context.tuning if is_probe_by_steps(context.tuning, context) else usual_head(context)
    enough = max(EPOCHS, enough_epochs(len(rest), recipe.batch_size))
    epochs = recipe.epochs if "epochs" in recipe.model_fields_set else enough
    arm = train_arm(seen, name, recipe.model_copy(update={"keep": "last", "epochs": epochs}), name, None)
    if arm.validation is None:
        raise DataError("examples are cut into windows")
    return arm.validation
