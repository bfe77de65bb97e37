"""The arms of a fit with a target: the source model, and the head that was adapted to the target, where one is safe.

The shift is diagnosed first, and decides which candidates may be tried. All are heads on kept features. Which of them
becomes the model is decided without the target's labels, and it is the source model unless the evidence is clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart.contracts.domains import LinearHead
from headstart.evidence.shift_kind import Diagnosis
from headstart.pipeline.adaptation.candidates import Adapted, Skipped, adapts, candidates, solver
from headstart.pipeline.adaptation.experts import expert_candidates
from headstart.pipeline.adaptation.outcomes import Sides, diagnosed, outcome, outcome_of, sides_of
from headstart.pipeline.adaptation.rows import AdaptationRow, AdaptedRow, ClassInTarget
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.arms import Arms, Trained, model_with
from headstart.pipeline.context import FitContext
from headstart.pipeline.record import SOURCE_MODEL, Decision
from headstart.pipeline.stage_rows import frozen_rows, head_row
from headstart.search.train_arms import train_arms


def adapt_arms(context: FitContext) -> Arms:
    """The model first, adapted or not, then the source model where another one is the model."""
    target = context.target
    arms = train_arms(context)
    if target is None or not adapts(context.data.task) or arms.trained[0].progress is not None:
        return arms
    with context.budget.step("adapting to the target"):
        solve = solver(context.data.task, None, context.plan.seed)
        sides = sides_of(context, target)
        found = diagnosed(sides, context.plan.seed)
        made = list(candidates(sides.domains, found.kind, solve, context.plan.seed)) if found.kind != "none" else []
        made += expert_candidates(context, sides, solve) if found.kind != "none" else ()
        source = solve(sides.domains.source, sides.domains.labels, None)
        row, winner = _decided(sides, found, source, made, target)
    context.log.add(Decision(what="adaptation", value=row.chosen, reason=row.why))
    arms = replace(arms, adaptation=row)
    if winner is None:
        return arms
    model = replace(arms.trained[0], key=SOURCE_MODEL)
    return replace(arms, trained=[_arm(context, winner), model, *arms.trained[1:]])


def _arm(context: FitContext, winner: Adapted) -> Trained:
    model = model_with(context, context.backbone, winner.head)
    model.shape = winner.shape
    stages, row = frozen_rows(context.backbone), head_row(winner.head, 0.0)
    title = f"{winner.title} on {context.backbone.name}"
    return Trained("model", title, model.eval(), winner.seconds, {}, stages=stages, head=row)


def _decided(
    sides: Sides, found: Diagnosis, source: LinearHead, made: Sequence[Adapted | Skipped], target: EmbeddedTarget
) -> tuple[AdaptationRow, Adapted | None]:
    """The record of the decision, and the candidate that becomes the model; None for the source model."""
    of_source = outcome(sides, source.logits, source.logits)
    accuracy = _accuracy(of_source.source, sides.held_labels)
    rows = [
        AdaptedRow(
            name=SOURCE_MODEL, family="", title="source model", seconds=0.0, source_accuracy=accuracy, fate="chosen"
        )
    ]
    for one in made:
        told = {"name": one.name, "family": one.family, "title": one.title}
        if isinstance(one, Skipped):
            rows.append(AdaptedRow(**told, seconds=0.0, source_accuracy=np.nan, fate=f"skipped: {one.reason}"))
            continue
        seen = outcome_of(sides, one)
        accuracy = _accuracy(seen.source, sides.held_labels)
        rows.append(AdaptedRow(**told, seconds=one.seconds, source_accuracy=accuracy, fate="", note=one.note))
    row = AdaptationRow(
        target=target.data.name,
        examples=len(target.pooled),
        labelled=len(target.labelled),
        kind=found.kind,
        reason=found.reason,
        auc=found.inputs.auc,
        distance=found.inputs.distance,
        classes=_classes(sides, found),
        missing=tuple(name for name, of in found.missing_classes if of == "other"),
        candidates=tuple(rows),
        chosen=SOURCE_MODEL,
        why="",
    )
    return row, None


def _classes(sides: Sides, found: Diagnosis) -> tuple[ClassInTarget, ...]:
    if found.mix is None:
        return ()
    shares = np.bincount(sides.domains.labels, minlength=len(sides.names)) / len(sides.domains.labels)
    each = zip(sides.names, shares, found.mix.shares, found.mix.low, found.mix.high)
    return tuple(ClassInTarget(name=n, source=s, estimated=e, low=low, high=high) for n, s, e, low, high in each)


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean()) if len(labels) else float("nan")
