"""Blending: the probe and a fine-tuned model as one model of models, whose answers are mixed with fixed weights.

The weights follow from what both say of labelled examples that neither has learnt from: see `numerics/blending.py`. A
blend is a `Model` like any other, with two backbones side by side and a head that mixes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import log_expit, log_softmax
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.baseline import FromScores
from headstart.contracts.blended_head import Blend, Blended, Link, Part, link_of, mixed
from headstart.contracts.features import Features
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.several_backbones import HasMembers, copied, side_by_side
from headstart.contracts.targets import WEIGHT
from headstart.contracts.task import BoundTask, Targets
from headstart.contracts.task_capabilities import ClosedForm
from headstart.engine.solved.solve import solve_head
from headstart.evidence.folds import folds
from headstart.numerics.blending import weights_by_likelihood, weights_by_squares
from headstart.pipeline.context import FitContext
from headstart.pipeline.record import Decision
from headstart.pipeline.stage_rows import head_row
from headstart.pipeline.trained import Trained, Weights

FOLDS = 5
"""By which several backbones are weighed."""

LEAST_SHARE = 0.05
"""A model with less weight than this does not earn its time, and is left out."""


class Blending(NamedTuple):
    """Weights of a blend, and how its answers are calibrated."""

    weights: tuple[float, ...]
    """Of probe and fine-tuned model."""
    temperatures: tuple[float, ...]
    calibration: Mapping[str, float]

    def in_words(self, tuned: str) -> str:
        """Return the weights, such as '0.62 probe + 0.38 full, 3e-05'."""
        return f"{self.weights[0]:.2f} probe + {self.weights[1]:.2f} {tuned}"


def may_blend(context: FitContext) -> bool:
    """Return whether answers of the task can be mixed, and nothing that was asked for is against it."""
    task, plan = context.data.task, context.plan
    whole = context.head is None and context.target is None and context.windows is None
    single = plan.head.kind != "stages" and not isinstance(context.backbone, HasMembers)
    return whole and single and plan.blend.allowed and link_of(task) is not None and isinstance(task, FromScores)


def found_blending(task: BoundTask, both: Sequence[Prediction], targets: Targets, shrinkage: float) -> Blending:
    """Return how to blend two models, by their predictions for examples that they have not learnt from."""
    evaluation, counts = task.evaluation, targets.get(WEIGHT)
    temperatures = tuple(evaluation.calibrate(one, targets).get("temperature", 1.0) for one in both)
    answers, link = _answers(task, both, temperatures), _link(task)
    examples = len(answers) if counts is None else float(counts.sum())
    pull, truth = shrinkage * math.sqrt(examples), targets["label"]
    if link == "numbers":
        weights = weights_by_squares(answers[:, :, 0], truth, pull, counts)
    else:
        each, shares = _log_likelihoods(answers, truth, link, counts)
        weights = weights_by_likelihood(each, pull, shares)
    found = Blending(tuple(weights.tolist()), temperatures, {})
    calibration = evaluation.calibrate(blended(task, both, found), targets)
    return found._replace(calibration=dict(calibration))


def solved_side_by_side(
    context: FitContext, task: BoundTask, rows: np.ndarray, groups: np.ndarray | None
) -> tuple[Blend, Mapping[str, float], Mapping[str, float]]:
    """Return a solved head for each of several backbones, mixed, with what was chosen and the calibration.

    Args:
        rows: what is solved on; folds of them say the weights. groups: (rows,) what is held out together.
    """
    backbone, data, seed = context.backbone, context.read, context.plan.seed
    if not isinstance(backbone, HasMembers) or not isinstance(task, ClosedForm):
        raise TypeError(f"{backbone.name} is not several backbones, or its task has no closed form")
    parts = np.split(context.features.pooled(rows), np.cumsum(backbone.widths)[:-1], axis=1)
    targets = data.targets_of(rows)

    def solved(part: np.ndarray, some: np.ndarray) -> tuple[nn.Module, Mapping[str, float]]:
        own = {name: values[some] for name, values in targets.items()}
        return solve_head(task, part[some], own, None if groups is None else groups[some], seed)

    cut = folds(rows, data.strata, data.split.units, FOLDS, seed)
    held = [np.searchsorted(rows, fold.held) for fold in cut]
    order = np.argsort(np.concatenate(held))
    both = []
    for part in parts:
        found = [
            _predicted(task, solved(part, np.searchsorted(rows, fold.rest))[0], part[own])
            for fold, own in zip(cut, held)
        ]
        both.append(Prediction.join(found).take(order))
    how = found_blending(task, both, targets, context.plan.blend.shrinkage)
    each = [solved(part, np.arange(len(rows))) for part in parts]
    head = Blend(backbone.widths, [head for head, _ in each], _link(task), how.weights, how.temperatures)
    chosen = {f"{number}.{name}": value for number, (_, own) in enumerate(each, 1) for name, value in own.items()}
    weights = {_weight_of(number): weight for number, weight in enumerate(how.weights, 1)}
    return head, {**weights, **chosen}, how.calibration


def weights_told(backbone: Backbone, chosen: Mapping[str, object], examples: int) -> Decision:
    """Return the weights of several backbones, for the record; `chosen` is what `solved_side_by_side` chose."""
    members = backbone.members if isinstance(backbone, HasMembers) else (backbone,)
    shares = [f"{chosen[_weight_of(number)]:.2f} {one.name}" for number, one in enumerate(members, 1)]
    reason = f"by what heads on each of them say of {examples} labelled examples, each without it"
    return Decision(what="weights of the backbones", value=" + ".join(shares), reason=reason)


def _weight_of(number: int) -> str:
    return f"weight_of_{number}"


def _predicted(task: BoundTask, head: nn.Module, features: np.ndarray) -> Prediction:
    with torch.inference_mode():
        return task.predict(head, Features(torch.from_numpy(features).float()), {})


def blended(task: BoundTask, both: Sequence[Prediction], how: Blending) -> Prediction:
    """Return the prediction of a blend by those of its models; finished with its calibration."""
    if not isinstance(task, FromScores):
        raise TypeError(f"{type(task).__name__} makes no predictions of scores")
    answers = torch.from_numpy(_answers(task, both, how.temperatures))
    scores = mixed(answers, torch.tensor(how.weights, dtype=answers.dtype), _link(task)).numpy()
    return task.evaluation.finish(task.from_scores(scores, {}), how.calibration)


def blended_arm(context: FitContext, probe: Trained, tuned: Trained, how: Blending, before: Weights) -> Trained:
    """Return the blend of two arms as one model.

    Args:
        context: data and backbone, which has the weights of `tuned`.
        probe: solved on features of the backbone with the weights `before`.
    """
    backbone = side_by_side([copied(context.backbone, before), tuned.model.backbone])
    if not isinstance(backbone, HasMembers):
        raise TypeError(f"{backbone.name} has no members")
    parts = tuple(Part(width=width, shape=arm.model.head_shape) for width, arm in zip(backbone.widths, (probe, tuned)))
    link, both = _link(context.data.task), [copy.deepcopy(arm.model.heads["head"]) for arm in (probe, tuned)]
    head = Blend(backbone.widths, both, link, how.weights, how.temperatures)
    execution = context.execution_of(backbone)
    heads, columns = nn.ModuleDict({"head": head}), context.data.columns
    model = Model(backbone, context.data.task, heads, columns, execution, how.calibration, shape=Blended(parts=parts))
    words = how.in_words(tuned.title)
    chosen = {**tuned.chosen, **how.calibration, "weight_of_probe": how.weights[0], "weight_of_tuned": how.weights[1]}
    title, seconds = f"blend of {probe.title} and {tuned.title}", probe.seconds + tuned.seconds
    why = Decision(what="the model's backbone", value="two, side by side", reason=f"{words}; each has its own weights")
    return replace(
        tuned,
        title=title,
        model=model.eval(),
        seconds=seconds,
        chosen=chosen,
        decisions=(*tuned.decisions, why),
        head=head_row(head, 0.0),
        fit_on=max(probe.fit_on, tuned.fit_on, key=len),
        from_inputs=True,
    )


def _link(task: BoundTask) -> Link:
    link = link_of(task)
    if link is None:
        raise TypeError(f"answers of {type(task).__name__} cannot be mixed")
    return link


def _answers(task: BoundTask, both: Sequence[Prediction], temperatures: Sequence[float]) -> np.ndarray:
    """(examples, models, outputs) float64: logits divided by temperatures, or numbers."""
    numbers = _link(task) == "numbers"
    columns = [one.columns["value"][:, None] if numbers else one.columns["logits"] for one in both]
    return np.stack([column / heat for column, heat in zip(columns, temperatures)], axis=1)


def _log_likelihoods(
    answers: np.ndarray, truth: np.ndarray, link: Link, counts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """(examples or their labels, models) log probabilities of what is true, and how much each counts."""
    examples, models, outputs = answers.shape
    counts = np.ones(examples) if counts is None else counts
    if link == "classes":
        return log_softmax(answers, axis=2)[np.arange(examples), :, truth], counts
    each = log_expit(np.where(truth[:, None, :] > 0, answers, -answers))
    return each.transpose(0, 2, 1).reshape(-1, models), np.repeat(counts / outputs, outputs)
