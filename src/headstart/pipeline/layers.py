"""The layer view of a fit: a probe at every stage on features of the frozen pass, and what is chosen by it.

The pass taps the pooled features of every stage anyway, so that the view costs its probes alone. Tokens and maps are
kept of the last stage, or of one for each stride: of them some examples pass once more. The test part is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Tap
from headstart.contracts.examples import Raw
from headstart.contracts.figures import info_of
from headstart.contracts.metric import Metric
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.several_stages import inner_stages
from headstart.contracts.task import Targets
from headstart.contracts.task_capabilities import ClosedForm, Sampled
from headstart.evidence.comparison import Difference, compare
from headstart.evidence.folds import Fold, folds
from headstart.evidence.held_out_probe import held_out_prediction
from headstart.evidence.layers import Layer, layer_view
from headstart.evidence.position_probe import TRUTH, held_out_classes, metric_of_positions
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import sampled
from headstart.pipeline.judge import figure_row
from headstart.pipeline.layer_rows import ComparedRow, LayerRow, Layers
from headstart.pipeline.numbers import difference_text, figure_text, in_sentence
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.record import Decision

MULTI = "multi"
"""Name of several stages at once."""

FOLDS = 3

FEWEST = 20
"""Examples, or groups of them, below which stages cannot be told apart."""

MOST = 1000
"""Examples on which the probes are solved."""

MOST_PASSED, MOST_POSITIONS = 200, 3000
"""Examples that pass once more for their tokens or maps, and how many of these are read."""


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
        except (DataError, BackboneError) as error:
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
    task, spec = context.read.task, context.features.spec
    if isinstance(task, Sampled):
        found = _of_positions(context, task)
    elif isinstance(task, ClosedForm) and spec.keep == "pooled":
        found = _of_examples(context)
    else:
        raise DataError("there is no layer view of this task, whose head cannot be solved for")
    metric, targets, groups, seed = found.metric, found.targets, found.groups, context.plan.seed
    own = {name: one for name, one in found.predictions.items() if name != MULTI}
    view = layer_view(metric, targets, list(own.values()), groups, seed)
    stages = tuple(_row(name, found.widths[name], layer) for name, layer in zip(own, view.layers))
    multi = None
    if MULTI in found.predictions:
        together, last = found.predictions[MULTI], list(own.values())[-1]
        (alone,) = layer_view(metric, targets, [together], groups, seed).layers
        to_last = compare(metric, targets, together, last, groups=groups, seed=seed, choosing=True)
        multi = _row(MULTI, found.widths[MULTI], alone._replace(to_best=to_last))
    layers = Layers(
        metric=info_of(metric),
        examples=found.examples,
        folds=FOLDS,
        stages=stages,
        best=view.best,
        ends=view.ends,
        multi=multi,
    )
    return layers.model_copy(update={"sentence": _sentence(layers)})


def cut_settings(recipe: Any, layers: Layers, backbone: Backbone) -> dict[str, Any]:
    """The settings of a recipe that moves the stages behind the one at which knowledge ends; the last one at least."""
    stages = len(backbone.stages)
    behind = backbone.boundary_names().index(layers.stages[layers.ends].name)
    found: dict[str, Any] = recipe.cut_at(min(behind, stages - 1), stages)
    return found


def _cut(context: FitContext, found: Layers) -> FitContext:
    if context.plan.tuning == AUTO or not context.tuning.cut_by_layers:
        return context
    changes = cut_settings(context.tuning, found, context.backbone)
    own = {**context.plan.settings.get("tuning", {}), **changes}
    for name, value in changes.items():
        if value is not None:
            context.log.tell(
                f"tuning.{name} = {value}.", Decision(what=f"tuning.{name}", value=str(value), reason=found.sentence)
            )
    settings = {**context.plan.settings, "tuning": {name: value for name, value in own.items() if value is not None}}
    return replace(context, plan=context.plan.model_copy(update={"settings": settings}))


def _sentence(found: Layers) -> str:
    metric, ends, last = found.metric, found.stages[found.ends], found.stages[-1]
    figure = f"{in_sentence(metric.title)} {figure_text(metric.unit, ends.figure)} by a probe on held-out examples"
    if len(found.stages) == 1:
        told = f"There is one stage, {last.name}: {figure}."
    elif ends is last:
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


class _Probed(NamedTuple):
    """Held-out predictions of a probe on each stage, by its name, and on several at once as `MULTI`."""

    predictions: dict[str, Prediction]
    widths: Mapping[str, int]
    metric: Metric
    targets: Targets
    groups: np.ndarray | None
    """Groups of predictions that are resampled together; None for single ones."""
    examples: int


def _of_examples(context: FitContext) -> _Probed:
    """Probes of pooled features, whose predictions are the task's own."""
    data, seed, rows = context.data, context.plan.seed, _rows(context, MOST)
    targets, groups = data.targets_of(rows), data.kept_together(rows)
    cut, features, found = _folds(data.strata[rows], groups, seed), _features(context, rows), {}
    with context.reporter.counter("probing stages", len(features), "stages") as advance:
        for name, values in features.items():
            found[name] = held_out_prediction(data.task, values, targets, cut, groups, seed)
            advance(1)
    widths = {name: values.shape[1] for name, values in features.items()}
    return _Probed(found, widths, data.task.evaluation.primary, targets, groups, len(rows))


def _of_positions(context: FitContext, task: Sampled) -> _Probed:
    """Probes of tokens or pixels at every stage that has them, on some examples that pass once more for it."""
    data, backbone, seed, rows = context.read, context.backbone, context.plan.seed, _rows(context, MOST_PASSED)
    *inner, last = backbone.boundary_names()[1:]
    if not inner or backbone.beside_last:
        raise DataError("there is no layer view of tokens or maps of one stage, or of several that are one feature")
    tapped = backbone.several([Tap(name) for name in inner])
    vectors, targets, owners = sampled(context, task, rows, tapped)
    if len(vectors) > MOST_POSITIONS:
        draws = np.random.default_rng(draw_seed(seed, "positions of the layer view"))
        some = np.sort(draws.choice(len(vectors), MOST_POSITIONS, replace=False))
        vectors, targets, owners = vectors[some], {name: values[some] for name, values in targets.items()}, owners[some]
    groups = owners if data.split.units is None else data.split.units[owners]
    cut, model = _folds(np.zeros(len(owners), np.int64), groups, seed), task.linear_model(targets, seed)
    names, found, first = [*(tap.boundary for tap in tapped.map_taps()), last], {}, 0
    widths = _widths(tapped, raws_of(data.examples.take(rows[:1])), names)
    with context.reporter.counter("probing stages", len(names), "stages") as advance:
        for name in names:
            own = vectors[:, first : first + widths[name]]
            found[name], first = held_out_classes(task, own, targets, cut, groups, seed), first + widths[name]
            advance(1)
    return _Probed(found, widths, metric_of_positions(model.samples), {TRUTH: model.targets}, groups, len(rows))


def _widths(backbone: Backbone, raws: Sequence[Raw], names: Sequence[str]) -> dict[str, int]:
    taps = {name: Tap(name) for name in names}
    with torch.no_grad():
        state = backbone.segment(0, len(backbone.stages), tuple(taps.values())).eval()(backbone.prepare(raws))
    return {name: int(state.taps[tap.key].shape[1]) for name, tap in taps.items()}


def _folds(strata: np.ndarray, groups: np.ndarray | None, seed: int) -> list[Fold]:
    count, units = len(strata), len(strata) if groups is None else len(np.unique(groups))
    if count < FEWEST or units < FOLDS:
        raise DataError(f"there is no layer view of {units} labelled examples or groups of them, which are too few")
    return folds(np.arange(count), strata, groups, FOLDS, seed)


def _rows(context: FitContext, most: int) -> np.ndarray:
    split = context.read.split
    rows = np.union1d(split.train, split.val)
    if len(rows) > most:
        draws = np.random.default_rng(draw_seed(context.plan.seed, "rows of the layer view"))
        rows = np.sort(draws.choice(rows, most, replace=False))
    return rows


def _features(context: FitContext, rows: np.ndarray) -> Mapping[str, np.ndarray]:
    """Features (rows, width) of each stage by its name, and of several at once where there are some.

    Raises:
        DataError: some are not finite.
    """
    extracted, backbone = context.features, context.backbone
    *inner, last = backbone.boundary_names()[1:]
    found = {name: extracted.tap(name, rows) for name in inner}
    if backbone.beside_last:
        found |= {last: extracted.tap(last, rows), MULTI: extracted.pooled(rows)}
    else:
        found[last] = extracted.pooled(rows)
        beside = [found[name] for name in inner_stages(backbone.boundary_names())]
        if beside and backbone.alone() is None:  # pairs that are read apart have features of the last stage alone
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
