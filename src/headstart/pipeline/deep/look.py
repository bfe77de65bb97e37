"""A deep look at data: what frozen features tell of labels and inputs, each part for itself.

Where one part cannot be had, such as labels of one class or fewer examples than folds, a finding says so and the others
are delivered all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headstart.evidence.feature_neighbours import FEWEST, RATE, Neighbours, neighbours, outliers
from headstart.kernel.errors import HeadstartError, some
from headstart.kernel.progress import Reporter
from headstart.pipeline.deep.labels import about_labels
from headstart.pipeline.deep.view import FOLDS, View, view_of
from headstart.pipeline.inspection import DeepLook, FaultRow, Finding
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import SeenData
from headstart.pipeline.ready import Ready

Told = tuple[list[FaultRow], list[Finding]]
"""Faults, and sentences on them."""


def looked_deep(
    seen: SeenData, begun: Ready | None, plan: Plan, reporter: Reporter
) -> tuple[DeepLook | None, list[Finding]]:
    """Look through the frozen features of all usable examples; `begun` is None where a fit would refuse the labels."""
    try:
        view = view_of(seen, begun, plan, reporter)
    except HeadstartError as error:
        return None, [Finding(severity="warning", text=f"--deep has no features to look at: {error}")]
    faults, findings = _lost(view)
    found = None
    if len(set(view.clusters.tolist())) > 1:
        found = neighbours(view.features, view.seed, view.clusters, angles=not view.numbers)
    parts: list[tuple[str, Callable[[], Told]]] = [("labels", lambda: about_labels(view))]
    if found is not None:
        parts.append(("outliers", lambda: _outliers(view, found)))
    for name, part in parts:
        try:
            rows, told = part()
        except HeadstartError as error:
            findings.append(Finding(severity="note", text=f"--deep did not look at {name}: {error}"))
            continue
        faults += rows
        findings += told
    labelled = view.context is not None and len(view.rows) >= FOLDS
    look = DeepLook(
        backbone=view.backbone, examples=len(view.rows), folds=FOLDS if labelled else 0, faults=tuple(faults)
    )
    return look, findings


def _lost(view: View) -> Told:
    if not view.lost:
        return [], []
    named = [f"{view.origins[row]} {why}" for row, why in sorted(view.lost.items())]
    rows = [
        FaultRow(kind="no features", origin=view.origins[row], detail=why) for row, why in sorted(view.lost.items())
    ]
    return rows, [Finding(severity="warning", text=f"{len(named):,} examples have no features: {some(named)}")]


def _outliers(view: View, near: Neighbours) -> Told:
    if len(view.rows) < FEWEST:
        return [], [Finding(severity="note", text=f"outliers are not sought among fewer than {FEWEST} examples")]
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
    examples = _such_as([fault.origin for fault in faults])
    many = "outlier" if len(faults) == 1 else "outliers"
    text = f"{len(faults):,} {many}, unlike all other inputs{examples} (about {RATE:.0%} of clean data sets show one)"
    return faults, [Finding(severity="warning", text=text)]


def _such_as(names: Sequence[str]) -> str:
    return f", such as {', '.join(names[:3])}"
