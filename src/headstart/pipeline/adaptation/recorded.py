"""The record of an adaptation: the diagnosis, every candidate with its evidence, and the answer in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headstart.contracts.metric import SHARE
from headstart.evidence.agreement import SEVERAL
from headstart.evidence.safe_choice import Decision, Judged
from headstart.evidence.shift_kind import Diagnosis
from headstart.pipeline.adaptation.candidates import Adapted, Skipped
from headstart.pipeline.adaptation.outcomes import Sides
from headstart.pipeline.adaptation.rows import AdaptationRow, AdaptedRow, ClassInTarget
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.data import short_name
from headstart.pipeline.judge import figure_row
from headstart.pipeline.numbers import figure_text


def adaptation_row(
    sides: Sides,
    target: EmbeddedTarget,
    found: Diagnosis,
    made: Sequence[Adapted | Skipped],
    decision: Decision,
    accuracies: Sequence[float],
) -> AdaptationRow:
    """Put the adaptation to a target into its record.

    Args:
        accuracies: on held-out source examples, of each candidate in the table of the decision.
    """
    there = [None, *(one for one in made if isinstance(one, Adapted))]
    each = zip(decision.table, there, accuracies)
    rows = [_row(judged, one, known, chosen=k == decision.place) for k, (judged, one, known) in enumerate(each)]
    rows += [_skipped(one) for one in made if isinstance(one, Skipped)]
    winner = there[decision.place]
    return AdaptationRow(
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
        chosen=decision.chosen,
        place=decision.place,
        why=f"{decision.reason[:1].upper()}{decision.reason[1:]}.",
        estimate=figure_row(decision.accuracy),
        method=f"The accuracy on the target is {decision.how}.",
        sentence=_sentence(decision, winner, target),
    )


def _sentence(decision: Decision, winner: Adapted | None, target: EmbeddedTarget) -> str:
    name, source = short_name(target.data.name), decision.table[0]
    model = f"Not adapted to {name}"
    if winner is not None and winner.family == SEVERAL:
        model += f", but {winner.title} in place of one model of all domains"
    elif winner is not None:
        model = f"Adapted to {name} by {winner.title}"
    if math.isnan(decision.accuracy.value):
        return f"{model}; its accuracy there cannot be estimated: {decision.accuracy.reason}."
    expected = figure_text(SHARE, figure_row(decision.accuracy))
    beside = f", the source model {figure_text(SHARE, figure_row(source.accuracy))}" if winner else ""
    return f"{model}: expected accuracy there {expected}{beside}, estimated without its labels."


def _row(judged: Judged, one: Adapted | None, accuracy: float, *, chosen: bool) -> AdaptedRow:
    fate = "chosen" if chosen else f"refused: {'; '.join(judged.vetoes)}" if judged.vetoes else "not chosen"
    return AdaptedRow(
        name=judged.name,
        family="" if one is None else one.family,
        title="source model" if one is None else one.title,
        seconds=0.0 if one is None else one.seconds,
        source_accuracy=accuracy,
        estimate=figure_row(judged.accuracy),
        scores=dict(judged.scores),
        agreement=judged.agreement,
        fate=fate,
        note="" if one is None else one.note,
    )


def _skipped(one: Skipped) -> AdaptedRow:
    return AdaptedRow(
        name=one.name,
        family=one.family,
        title=one.title,
        seconds=0.0,
        source_accuracy=math.nan,
        fate=f"skipped: {one.reason}",
    )


def _classes(sides: Sides, found: Diagnosis) -> tuple[ClassInTarget, ...]:
    if found.mix is None:
        return ()
    shares = np.bincount(sides.domains.labels, minlength=len(sides.names)) / len(sides.domains.labels)
    each = zip(sides.names, shares, found.mix.shares, found.mix.low, found.mix.high)
    return tuple(ClassInTarget(name=n, source=s, estimated=e, low=low, high=high) for n, s, e, low, high in each)
