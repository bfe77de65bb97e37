"""Labels that look wrong, by the predictions of a probe that was solved without the example's fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import CLASS_IDS, LABEL_SETS, VALUES
from headstart.evidence import label_quality
from headstart.evidence.confident_learning import ConfidentJoint, Share, confident_joint
from headstart.evidence.feature_neighbours import Neighbours
from headstart.evidence.held_out_probe import quick_prediction
from headstart.kernel.errors import DataError, some
from headstart.pipeline.deep.view import FOLDS, View
from headstart.pipeline.inspection import FaultRow, Finding
from headstart.pipeline.numbers import number_text

OVERLAPPING = 0.05
"""Share of the examples of two classes from whose lower end they are said to overlap."""

RATE = 0.05
"""Chance of one number being called wrong among normal residuals."""


@runtime_checkable
class HasClasses(Protocol):
    """A bound task with names for its classes."""

    classes: tuple[str, ...]


@dataclass(frozen=True)
class HeldOut:
    """Predictions of a probe for examples of folds that it was solved without."""

    faults: list[FaultRow]
    findings: list[Finding]
    right: np.ndarray
    """(rows,) bool: whether each is predicted as it is labelled, a number to within the usual error."""
    scores: np.ndarray | None = None
    """(rows, classes) probabilities; None where there are none."""
    truth: np.ndarray | None = None
    """(rows, classes) bool: the classes of each; None where there are none."""
    classes: tuple[str, ...] = ()


def held_out_labels(view: View, near: Neighbours | None) -> HeldOut:
    """Hold labels of pooled features against held-out predictions, those of classes against neighbours as well.

    Raises DataError where there is no probe.
    """
    if view.context is None:
        raise DataError("a fit would refuse them")
    task, targets = view.context.data.task, view.context.data.targets_of(view.rows)
    kind = task.target_kinds.get("label")
    predicted = quick_prediction(task, view.features, targets, view.folds(), view.units(), view.seed)
    names = task.classes if isinstance(task, HasClasses) else ()
    if kind == CLASS_IDS:
        return _classes(view, names, targets["label"], predicted.columns["probabilities"], near)
    if kind == LABEL_SETS:
        return _label_sets(view, names, targets["label"] > 0, predicted.columns["probabilities"])
    if kind == VALUES and targets["label"].ndim == 1:
        return _numbers(view, targets["label"], predicted)
    raise DataError("labels of this kind are not checked")


def _classes(
    view: View, names: tuple[str, ...], labels: np.ndarray, probabilities: np.ndarray, near: Neighbours | None
) -> HeldOut:
    findings = list[Finding]()
    counts = np.bincount(labels, minlength=len(names))
    rare = [repr(names[k]) for k in np.flatnonzero((counts > 0) & (counts < FOLDS))]
    if rare:
        text = f"labels of classes with fewer than {FOLDS} examples are not checked: {some(rare)}"
        findings.append(Finding(severity="note", text=text))
    checked = np.flatnonzero(counts[labels] >= FOLDS)
    given, of = labels[checked], probabilities[checked]
    joint, quality = confident_joint(given, of), label_quality.of_classes(given, of)
    rank, votes = quality, [""] * len(checked)
    if near is not None:
        agreeing = labels[near.rows[checked]] == given[:, None]
        rank = label_quality.with_neighbours(quality, agreeing.mean(axis=1))
        votes = [f"; {count} of its {near.rows.shape[1]} neighbours have it" for count in agreeing.sum(axis=1)]
    faults = [
        FaultRow(
            kind="wrong label",
            origin=view.origin(checked[row]),
            score=float(rank[row]),
            given=names[given[row]],
            likely=names[joint.confident[row]],
            detail=f"probability of the given label {quality[row]:.1%}{votes[row]}",
        )
        for row in joint.wrong[np.argsort(rank[joint.wrong], kind="stable")].tolist()
    ]
    if faults:
        named = such([f"{one.origin} ({one.given}, likely {one.likely})" for one in faults])
        share = f"{in_percent(joint.share_wrong(view.seed))} of all by confident learning"
        text = f"{_labels(faults)} wrong, {share}{named}; where classes overlap, right ones are among them"
        findings.append(Finding(severity="warning", text=text))
    pairs, told = _overlaps(joint, names, view.seed)
    right = probabilities.argmax(axis=1) == labels
    truth = np.eye(len(names), dtype=bool)[labels]
    return HeldOut([*faults, *pairs], [*findings, *told], right, probabilities, truth, names)


def _label_sets(view: View, names: tuple[str, ...], truth: np.ndarray, probabilities: np.ndarray) -> HeldOut:
    """Each label by itself, as a class and its absence; those with fewer examples than folds are not checked."""
    quality, likely = label_quality.of_label_sets(truth, probabilities), truth.copy()
    count = truth.sum(axis=0)
    for k in np.flatnonzero((count >= FOLDS) & (len(truth) - count >= FOLDS)):
        p = probabilities[:, k]
        if np.ptp(p) == 0:  # all of one fold, such as a group, so that nothing could be learnt of it
            continue
        rows = confident_joint(truth[:, k].astype(np.int64), np.stack([1 - p, p], axis=1)).wrong
        likely[rows, k] = ~truth[rows, k]

    def named(held: np.ndarray) -> str:
        return ", ".join(names[k] for k in np.flatnonzero(held)) or "none"

    wrong = np.flatnonzero((likely != truth).any(axis=1))
    faults = []
    for row in wrong[np.argsort(quality[wrong], kind="stable")].tolist():
        changed = np.flatnonzero(likely[row] != truth[row])
        told = [f"'{names[k]}' {'missing' if likely[row, k] else 'out of place'}" for k in changed]
        given, better = named(truth[row]), named(likely[row])
        faults.append(
            FaultRow(
                kind="wrong label",
                origin=view.origin(row),
                score=float(quality[row]),
                given=given,
                likely=better,
                detail=", ".join(told),
            )
        )
    findings = []
    if faults:
        text = f"label sets of {len(faults):,} examples look wrong{such([f'{x.origin} ({x.detail})' for x in faults])}"
        findings.append(Finding(severity="warning", text=text))
    right = ((probabilities >= 0.5) == truth).all(axis=1)
    return HeldOut(faults, findings, right, probabilities, truth, names)


def _numbers(view: View, values: np.ndarray, predicted: Prediction) -> HeldOut:
    expected = predicted.columns["value"]
    quality, apart = label_quality.of_numbers(values, expected), label_quality.in_spreads(values, expected)
    wrong = label_quality.wrong_numbers(values, expected, RATE)
    faults = [
        FaultRow(
            kind="wrong label",
            origin=view.origin(row),
            score=float(quality[row]),
            given=number_text(float(values[row])),
            likely=number_text(float(expected[row])),
            detail=f"{abs(apart[row]):.1f} times the usual error of the probe",
        )
        for row in wrong[np.argsort(quality[wrong], kind="stable")].tolist()
    ]
    findings = []
    if faults:
        named = such([f"{one.origin} ({one.given}, expected {one.likely})" for one in faults])
        text = f"{_labels(faults)} wrong{named}; with normal errors, {RATE:.0%} of clean data sets show one"
        findings.append(Finding(severity="warning", text=text))
    return HeldOut(faults, findings, np.abs(apart) <= 1)


def _overlaps(joint: ConfidentJoint, names: tuple[str, ...], seed: int) -> tuple[list[FaultRow], list[Finding]]:
    pairs = [pair for pair in joint.overlaps(seed) if pair.share.low > OVERLAPPING]
    faults = [
        FaultRow(
            kind="overlapping classes",
            origin="",
            score=pair.share.value,
            given=names[pair.one],
            other=names[pair.other],
            detail=f"{in_percent(pair.share)} of their examples look like the other class",
        )
        for pair in pairs
    ]
    told = [f"'{one.given}' and '{one.other}' ({one.detail})" for one in faults]
    if not told:
        return [], []
    return faults, [Finding(severity="note", text=f"classes that overlap: {'; '.join(told[:5])}")]


def in_percent(share: Share) -> str:
    """Return a share with its interval."""
    return f"{share.value:.1%} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _labels(faults: list[FaultRow]) -> str:
    return "1 label looks" if len(faults) == 1 else f"{len(faults):,} labels look"


def such(named: list[str]) -> str:
    """Return the first of some names, as an example."""
    return f", such as {', '.join(named[:3])}"
