"""Knowledge of a task with parts, such as boxes, that the frozen pass gives before a head is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.contracts.task_capabilities import Foresees
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import batches_of_features

LEAST_LEFT = 60.0
"""Seconds of a budget below which nothing is probed."""


def with_foresight(context: FitContext) -> FitContext:
    """The context with what probes of the training and validation part tell, which is said; as it is for a task without
    such probes, or where no features are kept."""
    data, task, budget = context.read, context.read.task, context.budget
    if not isinstance(task, Foresees) or context.windows is not None or context.features.spec.keep != "state":
        return context
    if budget.seconds is not None and budget.left() < LEAST_LEFT:
        return context
    rows, groups = np.union1d(data.split.train, data.split.val), data.kept_together(np.arange(len(data.examples)))
    with budget.step("probes of the features"):
        passed = batches_of_features(context, rows, "probing features")
        batches = ((some, features, batch.targets) for some, batch, features in passed)
        found = task.foresight(batches, groups, context.plan.seed)
    for sentence in found.sentences:
        context.reporter.say(f"{sentence[:1].upper()}{sentence[1:]}.")
    return replace(context, foresight=found)
