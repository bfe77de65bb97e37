"""Edits of a pretrained architecture: the table that is shown before training, and the measured cost in knowledge.

The same probe is cross-validated on features of the edited backbone and of the one as it was trained, on some training
examples: what the edit has thrown away before any stage could learn anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.contracts.architecture_edits import Edit
from headstart.contracts.backbone import Backbone
from headstart.contracts.task_capabilities import ClosedForm
from headstart.engine.frozen.execution import plain_runner
from headstart.evidence.comparison import compare, figures
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import quick_prediction
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import embed
from headstart.pipeline.judge import figure_row
from headstart.pipeline.numbers import difference_text, figure_text, in_sentence
from headstart.pipeline.record import Decision

MOST, FEWEST, FOLDS = 500, 20, 5
"""Training examples that the cost is measured on, and folds."""

LEAST_LEFT = 30.0
"""Seconds of a budget below which the cost is not measured."""


def show(edits: Sequence[Edit], reporter: Reporter) -> None:
    """Say the edits as a table."""
    rows = [("layer", "before", "after", "weights")]
    rows += [(edit.layer, edit.before, edit.after, "" if edit.weights == "none" else edit.weights) for edit in edits]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows if edits else ():
        reporter.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def with_edit_cost(context: FitContext) -> FitContext:
    """The context, its log telling what the backbone's edits cost, where it has some and the task can be probed."""
    backbone, data, budget = context.backbone, context.read, context.budget
    pooled = isinstance(data.task, ClosedForm) and context.features.spec.keep == "pooled"
    late = budget.seconds is not None and budget.left() < LEAST_LEFT
    if backbone.unedited is None or not pooled or late or len(data.split.train) < FEWEST:
        return context
    with budget.step("the cost of the edits"):
        rows = data.split.train
        if len(rows) > MOST:
            draws = np.random.default_rng(draw_seed(context.plan.seed, "rows of the cost of edits"))
            rows = np.sort(draws.choice(rows, MOST, replace=False))
        _tell(context, rows, backbone.unedited())
    return context


def _tell(context: FitContext, rows: np.ndarray, plain: Backbone) -> None:
    data, seed = context.read, context.plan.seed
    keys = [data.keys[row] for row in rows]
    passed = embed(plain, data.examples.take(rows), keys=keys, runner=plain_runner(), store=context.store)
    readable = np.setdiff1d(np.arange(len(rows)), list(passed.failures))
    rows, before = rows[readable], passed.pooled(readable)
    targets, groups = data.targets_of(rows), data.kept_together(rows)
    metric = data.task.evaluation.primary
    try:
        cut = folds(np.arange(len(rows)), data.strata[rows], groups, FOLDS, seed)
        with_edits, without = (
            quick_prediction(data.task, features, targets, cut, groups, seed)
            for features in (context.features.pooled(rows), before)
        )
    except DataError as error:
        context.log.tell(f"{error}.", Decision(what="cost of the edits", value="not measured", reason=str(error)))
        return
    found = compare(metric, targets, with_edits, without, groups=groups, seed=seed, choosing=True)
    both = [
        figure_text(metric.unit, figure_row(figures((metric,), targets, one, groups=groups, seed=seed)[metric.name]))
        for one in (with_edits, without)
    ]
    difference = difference_text(metric.unit, figure_row(found.figure))
    reason = (
        f"{in_sentence(metric.title)} of a probe is {both[0]} with the edits and {both[1]} without, cross-validated on "
        f"{len(rows)} training examples: {difference}, {found.verdict}"
    )
    begins, ends = "The edits of the backbone", "."
    if found.verdict == "worse":
        begins = "Warning: the edits of the backbone throw pretrained knowledge away"
        ends = ". Stages that stay frozen cannot learn it again: use --tuning full, or leave the edits out."
    context.log.tell(f"{begins}: {reason}{ends}", Decision(what="edits", value=difference, reason=reason))
