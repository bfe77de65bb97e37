"""A deep look at data: what frozen features tell of labels and inputs, each part for itself.

Where one part cannot be had, such as labels of one class or fewer examples than folds, a finding says so and the others
are delivered all the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headstart.contracts.task_capabilities import Foresight
from headstart.evidence.attributes import Values, attributes_of
from headstart.evidence.feature_neighbours import FEWEST, RATE, Neighbours, neighbours, order_of, outliers
from headstart.evidence.spurious import in_words, spurious
from headstart.evidence.weak_groups import Group, clusters_of, groups_by_attribute, weak_groups
from headstart.kernel.errors import HeadstartError, some
from headstart.kernel.progress import Reporter
from headstart.numerics.few_threads import few_threads
from headstart.pipeline.context import FitContext
from headstart.pipeline.deep.held_out_heads import doubtful_labels
from headstart.pipeline.deep.labels import HeldOut, held_out_labels
from headstart.pipeline.deep.parts import held_out_parts
from headstart.pipeline.deep.view import FOLDS, View, view_of
from headstart.pipeline.inspection import DeepLook, FaultRow, Finding
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import SeenData
from headstart.pipeline.ready import Ready

Told = tuple[list[FaultRow], list[Finding]]
"""Faults, and sentences on them."""

ORDERED = 0.01
"""p-value up to which an order is said not to be random."""


def looked_deep(
    seen: SeenData, begun: Ready | None, plan: Plan, reporter: Reporter
) -> tuple[DeepLook | None, list[Finding]]:
    """Look through the frozen features of all usable examples; `begun` is None where a fit would refuse the labels."""
    try:
        view = view_of(seen, begun, plan, reporter)
    except HeadstartError as error:
        return None, [Finding(severity="warning", text=f"--deep has no features to look at: {error}")]
    with few_threads(view.features):
        return _looked(seen, view)


def _looked(seen: SeenData, view: View) -> tuple[DeepLook, list[Finding]]:
    faults, findings = _lost(view)
    held: list[HeldOut] = []
    near = None
    if len(np.unique(view.clusters)) >= FEWEST:
        near = neighbours(view.features, view.seed, view.clusters, angles=not view.numbers)
    attributes = _attributes(seen, view)

    def about_labels() -> Told:
        pooled = view.context is None or view.context.data.task.needs.features == "pooled"
        if not pooled and view.context is not None and view.context.foresight is not None:
            found, heads = view.context.foresight, doubtful_labels(view.context)
            known = {(one.row, one.kind, one.likely) for one in heads}
            others = (one for one in found.doubtful if (one.row, one.kind, one.likely) not in known)
            return foreseen(view.context, found._replace(doubtful=(*heads, *others)))
        held.append(held_out_labels(view, near) if pooled else held_out_parts(view))
        return held[0].faults, held[0].findings

    parts: dict[str, Callable[[], Told]] = {"labels": about_labels}
    if near is not None:
        found = near
        parts |= {"outliers": lambda: _outliers(view, found), "the order": lambda: _order(view, found)}
    else:
        text = f"outliers and the order are not looked at among fewer than {FEWEST} different examples"
        findings.append(Finding(severity="note", text=text))
    parts |= {
        "groups": lambda: _groups(view, attributes, held[0]) if held else ([], []),
        "attributes": lambda: _spurious(view, attributes, held[0]) if held else ([], []),
    }
    for name, part in parts.items():
        try:
            rows, told = part()
        except HeadstartError as error:
            findings.append(Finding(severity="note", text=f"--deep did not look at {name}: {error}"))
            continue
        faults += rows
        findings += told
    folds = FOLDS if held else 0
    return DeepLook(backbone=view.backbone, examples=len(view.rows), folds=folds, faults=tuple(faults)), findings


def foreseen(context: FitContext, found: Foresight) -> Told:
    """Return what probes of parts tell of labels and of the reach of a head."""
    origins = context.read.examples.origins()
    faults = [
        FaultRow(
            kind=one.kind,
            origin=origins[one.row],
            score=one.score,
            given=one.given,
            likely=one.likely,
            detail=one.detail,
        )
        for one in found.doubtful
    ]
    findings = [Finding(severity="note", text=sentence) for sentence in found.sentences]
    if faults:
        named = some([f"{one.origin} ({one.kind}: {one.likely})" for one in faults], 3)
        text = f"{len(faults)} labels of parts look wrong, such as {named}"
        findings.append(Finding(severity="warning", text=text))
    return faults, findings


def _attributes(seen: SeenData, view: View) -> dict[str, Values]:
    """Of the rows of the view."""
    rows = seen.usable_rows()[view.rows]
    found = attributes_of(seen.examples, seen.copies.fingerprints)
    return {
        name: values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]
        for name, values in found.items()
    }


def _lost(view: View) -> Told:
    if not view.lost:
        return [], []
    named = [f"{view.origins[row]} {why}" for row, why in sorted(view.lost.items())]
    have = "1 example has" if len(named) == 1 else f"{len(named):,} examples have"
    rows = [
        FaultRow(kind="no features", origin=view.origins[row], detail=why) for row, why in sorted(view.lost.items())
    ]
    return rows, [Finding(severity="warning", text=f"{have} no features: {some(named)}")]


def _outliers(view: View, near: Neighbours) -> Told:
    rows, distance = outliers(near)
    faults = [
        FaultRow(
            kind="outlier",
            origin=view.origin(row),
            score=float(distance[row]),
            other=view.origin(near.rows[row, 0]),
            detail=f"{distance[row]:.1f} times as far from its neighbours as the median example",
        )
        for row in rows.tolist()
    ]
    if not faults:
        return [], []
    such = ", ".join(fault.origin for fault in faults[:3])
    many = "outlier" if len(faults) == 1 else "outliers"
    text = f"{len(faults):,} {many}, unlike all other inputs, such as {such} ({RATE:.0%} of clean data sets show one)"
    return faults, [Finding(severity="warning", text=text)]


def _order(view: View, near: Neighbours) -> Told:
    found = order_of(near, view.strata, view.seed)
    if found is None or found.p > ORDERED:
        return [], []
    figures = f"{found.apart:.0f} places apart, {found.expected:.0f} in a random order, p = {found.p:.3f}"
    text = (
        f"the order of the examples is not random: similar ones of a class lie {figures}. Where they were taken one "
        "after the other, name what belongs together by --group, or figures will be too good"
    )
    rows = [FaultRow(kind="order", origin="", score=found.p, detail=f"similar examples of a class lie {figures}")]
    return rows, [Finding(severity="warning", text=text)]


def _groups(view: View, attributes: dict[str, Values], held: HeldOut) -> Told:
    similar = clusters_of(view.features, view.seed)
    centre = {f"inputs like {view.origin(first)}": (first, rows) for first, rows in similar}
    groups = [Group(name, rows) for name, (_, rows) in centre.items()]
    weak = weak_groups(held.right, [*groups, *groups_by_attribute(attributes, view.strata)])
    faults = []
    for one in weak:
        name = one.group.name
        interval = f"{100 * (one.share - one.rest):.0f} points ({100 * one.low:.0f} to {100 * one.high:.0f})"
        figures = f"{one.share:.0%} right against {one.rest:.0%} elsewhere, {interval}, p = {one.p:.2g} corrected"
        faults.append(
            FaultRow(
                kind="weak group",
                origin=view.origin(centre[name][0]) if name in centre else "",
                score=one.share - one.rest,
                given=name,
                detail=f"{len(one.group.rows):,} examples, {figures} for {one.tested} groups",
            )
        )
    if not faults:
        return [], []
    count = "a group" if len(faults) == 1 else f"{len(faults)} groups"
    named = "; ".join(f"{fault.given}: {fault.detail}" for fault in faults[:3])
    return faults, [Finding(severity="warning", text=f"the probe does worse on {count}: {named}")]


def _spurious(view: View, attributes: dict[str, Values], held: HeldOut) -> Told:
    if held.truth is None or not attributes:
        return [], []
    found = spurious(attributes, held.truth, held.classes, content=held.scores, units=view.units(), seed=view.seed)
    faults = [
        FaultRow(
            kind="spurious attribute",
            origin="",
            score=(1 + one.score) / 2,
            given=one.label,
            other=one.attribute,
            detail=in_words(one, len(attributes)),
        )
        for one in found
        if one.suspicious
    ]
    return faults, [Finding(severity="warning", text=fault.detail) for fault in faults]
