"""Averaging predictions over views of an input, where validation shows that it helps.

The model predicts the validation part both ways, each calibrated on it; averaging is kept where the paired 95 %
interval of the primary metric lies above zero. A prediction then takes as many times as long as it has views, and one
more.
"""

from __future__ import annotations

from dataclasses import replace

from headstart.contracts.composed_augmentation import Composed
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import OfWhole
from headstart.contracts.target_movement import has_place
from headstart.engine.frozen.averaged_views import KEY, AveragedViews
from headstart.engine.frozen.infer import Predictor
from headstart.evidence.comparison import compare
from headstart.kernel.errors import SettingsError
from headstart.pipeline.context import FitContext
from headstart.pipeline.prepare import no_longer_read
from headstart.pipeline.record import Decision

USUAL_VIEWS = 4
"""Views where the settings say nothing and time is not bounded."""


def views_averaged(context: FitContext, augmentation: Composed) -> int:
    """Over how many views averaging is tried; 0 for none.

    Raises:
        SettingsError: views are asked for that cannot be averaged over.
    """
    asked = augmentation.settings.test_views
    why = _why_not(context, augmentation)
    if asked and why:
        raise SettingsError(f"augmentation.test_views = {asked}: {why}. Leave it out.")
    if why:
        return 0
    usual = USUAL_VIEWS if context.plan.budget is None else 0
    return usual if asked is None else asked


def left_out(context: FitContext, augmentation: Composed) -> Decision | None:
    """A note where a budget alone keeps averaging from being tried."""
    if context.plan.budget is None or augmentation.settings.test_views is not None or _why_not(context, augmentation):
        return None
    reason = "under a budget they are tried only where augmentation.test_views says over how many"
    return Decision(what="test-time views", value="not tried", reason=reason)


def averaged_where_better(
    context: FitContext, model: Model, augmentation: Composed, count: int
) -> tuple[Model, Decision]:
    """The calibrated model, averaging over `count` views where that is better on validation, and why.

    Raises:
        DataError: a validation input could be read before and cannot any more.
    """
    views = AveragedViews(count, context.plan.seed, augmentation.of_inputs())
    averaging = replace(model, execution={**model.execution, KEY: views.to_json()}, calibration={})
    rows, task = context.data.split.val, context.data.task
    targets, metric = context.data.targets_of(rows), task.evaluation.primary
    found = _predicted(context, averaging)
    averaging.calibration = task.evaluation.calibrate(found, targets)
    finished = task.evaluation.finish(found, averaging.calibration)
    plain = _predicted(context, model)
    groups, seed = context.data.groups_of(rows), context.plan.seed
    difference = compare(metric, targets, finished, plain, groups=groups, seed=seed, choosing=True)
    figure = difference.figure
    change = f"{metric.name} on validation changes by {figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"
    if difference.verdict != "better":
        reason = f"{change}: no gain is shown, so that predictions stay as quick as they are"
        return model, Decision(what="test-time views", value="none", reason=reason)
    reason = f"{change}, more being better; a prediction takes {count + 1} times as long"
    return averaging, Decision(what="test-time views", value=f"{count}, beside the input as it is", reason=reason)


def _why_not(context: FitContext, augmentation: Composed) -> str:
    if not augmentation.of_inputs().changes_inputs:
        return "the augmentation makes no views of inputs one by one"
    placed = [kind.title for kind in context.data.task.target_kinds.values() if has_place(kind)]
    if placed:
        return f"predictions of {placed[0]} move with the view and cannot be averaged"
    written = [kind.title for kind in context.data.task.target_kinds.values() if isinstance(kind, OfWhole)]
    if written:
        return f"predictions of {written[0]} are texts, which have no mean"
    if not len(context.data.split.val):
        return "there is no validation part to show whether it helps"
    return ""


def _predicted(context: FitContext, model: Model) -> Prediction:
    examples = context.data.examples.take(context.data.split.val)
    predicted = Predictor(model, reporter=context.reporter)(examples)
    if predicted.prediction is None or predicted.failures:
        raise no_longer_read(examples, predicted.failures)
    return predicted.prediction
