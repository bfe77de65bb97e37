"""The layer view of a fit: a probe at every stage on features of the frozen pass, and what is chosen by it.

The pass taps every stage anyway, so that the view costs its probes alone. Of many examples some are drawn. The test
part is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.contracts.figures import MetricInfo, info_of
from headstart.contracts.several_stages import inner_stages
from headstart.contracts.task_capabilities import ClosedForm, Sampled
from headstart.evidence.comparison import Difference, compare
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import held_out_prediction
from headstart.evidence.layers import Layer, layer_view
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.context import FitContext
from headstart.pipeline.judge import figure_row
from headstart.pipeline.layer_rows import ComparedRow, LayerRow, Layers
from headstart.pipeline.numbers import difference_text, figure_text
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.record import Decision

MULTI = "multi"
"""Name of several stages at once."""

FOLDS = 3

MOST = 1000
"""Examples on which the probes are solved."""

FEWEST = 20
"""Examples below which stages cannot be told apart."""


def with_layers(context: FitContext) -> FitContext:
    """The context with the layer view where plan or tuning ask for it, and the plan with the cut taken from it.

    Raises:
        DataError: a tuning needs the view, and it cannot be had.
    """
    if not (context.plan.layers or context.tuning.cut_by_layers):
        return context
    with context.budget.step("the layer view"):
        try:
            found = layers_of(context)
        except DataError as error:
            if context.tuning.cut_by_layers:
                raise DataError(
                    f"{error}: give tuning.last, as tuning.depth = auto would take it from there"
                ) from error
            context.log.tell(f"{error}.", Decision(what="layer view", value="left out", reason=str(error)))
            return context
    context.reporter.say(found.sentence)
    return _cut(replace(context, layers=found), found)


def layers_of(context: FitContext) -> Layers:
    """The view on rows of the training and validation part. Raises DataError where there is none."""
    data, seed, rows = context.data, context.plan.seed, _rows(context)
    metric, targets, groups = data.task.evaluation.primary, data.targets_of(rows), data.kept_together(rows)
    count = min(FOLDS, len(rows) if groups is None else len(np.unique(groups)))
    if len(rows) < FEWEST or count < 2:
        raise DataError(f"there is no layer view of {len(rows)} labelled examples, which cannot tell stages apart")
    cut = folds(np.arange(len(rows)), data.strata[rows], groups, count, seed)
    candidates, predictions = _features(context, rows), []
    with context.reporter.counter("probing stages", len(candidates), "stages") as advance:
        for features in candidates.values():
            predictions.append(held_out_prediction(data.task, features, targets, cut, groups, seed))
            advance(1)
    names = context.backbone.boundary_names()[1:]
    view = layer_view(metric, targets, predictions[: len(names)], groups, seed)
    widths = {name: features.shape[1] for name, features in candidates.items()}
    stages = tuple(_row(name, widths[name], layer) for name, layer in zip(names, view.layers))
    multi = None
    if MULTI in candidates:
        (alone,) = layer_view(metric, targets, predictions[-1:], groups, seed).layers
        to_last = compare(metric, targets, *predictions[:-3:-1], groups=groups, seed=seed, choosing=True)
        multi = _row(MULTI, widths[MULTI], alone._replace(to_best=to_last))
    found = Layers(examples=len(rows), folds=count, stages=stages, best=view.best, ends=view.ends, multi=multi)
    return found.model_copy(update={"sentence": _sentence(found, info_of(metric))})


def cut_settings(recipe: Any, layers: Layers) -> dict[str, Any]:
    """The settings of a recipe that moves the stages behind the one at which knowledge ends; the last one at least."""
    stages = len(layers.stages)
    found: dict[str, Any] = recipe.cut_at(min(layers.ends + 1, stages - 1), stages)
    return found


def _cut(context: FitContext, found: Layers) -> FitContext:
    if context.plan.tuning == AUTO or not context.tuning.cut_by_layers:
        return context
    changes = cut_settings(context.tuning, found)
    own = {**context.plan.settings.get("tuning", {}), **changes}
    for name, value in changes.items():
        if value is not None:
            context.log.tell(
                f"tuning.{name} = {value}.", Decision(what=f"tuning.{name}", value=str(value), reason=found.sentence)
            )
    settings = {**context.plan.settings, "tuning": {name: value for name, value in own.items() if value is not None}}
    return replace(context, plan=context.plan.model_copy(update={"settings": settings}))


def _sentence(found: Layers, metric: MetricInfo) -> str:
    ends, last = found.stages[found.ends], found.stages[-1]
    figure = f"{metric.title.lower()} {figure_text(metric.unit, ends.figure)} by a probe on held-out examples"
    if ends is last:
        told = f"Knowledge that transfers goes up to the last stage, {last.name}: {figure}; each earlier one is worse."
    else:
        told = (
            f"Knowledge that transfers ends at {ends.name}, stage {found.ends + 1} of {len(found.stages)}: {figure}; "
            "no later stage is significantly better."
        )
    if found.multi is None or found.multi.to_best.verdict != "better":
        return told
    more = difference_text(metric.unit, found.multi.to_best.difference)
    return f"{told} Several stages at once are better than the last: {more}, with backbone.features = multi."


def _rows(context: FitContext) -> np.ndarray:
    split = context.data.split
    rows = np.union1d(split.train, split.val)
    if len(rows) > MOST:
        draws = np.random.default_rng(draw_seed(context.plan.seed, "rows of the layer view"))
        rows = np.sort(draws.choice(rows, MOST, replace=False))
    return rows


def _features(context: FitContext, rows: np.ndarray) -> Mapping[str, np.ndarray]:
    """Features (rows, width) of each stage by its name, and of several at once where there are some.

    Raises:
        DataError: they are not pooled ones, or not finite.
    """
    task, extracted, backbone = context.read.task, context.features, context.backbone
    if not isinstance(task, ClosedForm) or isinstance(task, Sampled) or extracted.spec.keep != "pooled":
        raise DataError("there is no layer view of this task, whose head reads more than pooled features")
    *inner, last = backbone.boundary_names()[1:]
    found = {name: extracted.tap(name, rows) for name in inner}
    if backbone.beside_last:
        found |= {last: extracted.tap(last, rows), MULTI: extracted.pooled(rows)}
    else:
        found[last] = extracted.pooled(rows)
        if beside := [found[name] for name in inner_stages(backbone.boundary_names())]:
            found[MULTI] = np.concatenate([*beside, found[last]], axis=1)
    for name, features in found.items():
        if not np.isfinite(features).all():
            raise DataError(f"there is no layer view: the features of {name} are NaN or infinite")
    return found


def _row(name: str, width: int, layer: Layer) -> LayerRow:
    gain = None if layer.gain is None else _compared(layer.gain)
    return LayerRow(
        name=name, width=width, figure=figure_row(layer.figure), to_best=_compared(layer.to_best), gain=gain
    )


def _compared(found: Difference) -> ComparedRow:
    return ComparedRow(difference=figure_row(found.figure), verdict=found.verdict)
