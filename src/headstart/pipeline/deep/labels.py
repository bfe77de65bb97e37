"""Labels that look wrong, by the predictions of a probe that was solved without the example's fold."""

from __future__ import annotations

import numpy as np

from headstart.contracts.target_kinds import CLASS_IDS
from headstart.contracts.task_capabilities import BoundTask
from headstart.evidence import label_quality
from headstart.evidence.confident_learning import ConfidentJoint, Share, confident_joint
from headstart.evidence.held_out_probe import held_out_prediction
from headstart.kernel.errors import DataError, some
from headstart.pipeline.deep.view import FOLDS, View
from headstart.pipeline.inspection import FaultRow, Finding

OVERLAPPING = 0.05
"""Share of the examples of two classes from whose lower end they are said to overlap."""


def about_labels(view: View) -> tuple[list[FaultRow], list[Finding]]:
    """Return labels that look wrong and classes that overlap. Raises DataError where there is no probe."""
    context = view.context
    if context is None:
        raise DataError("a fit would refuse them")
    task, targets = context.data.task, context.data.targets_of(view.rows)
    if task.needs.features != "pooled":
        raise DataError(f"its labels are of {task.needs.features}")
    predicted = held_out_prediction(task, view.features, targets, view.folds(), view.units(), view.seed)
    if task.target_kinds.get("label") == CLASS_IDS:
        return _classes(view, task, targets["label"], predicted.columns["probabilities"])
    return [], []


def _classes(
    view: View, task: BoundTask, labels: np.ndarray, probabilities: np.ndarray
) -> tuple[list[FaultRow], list[Finding]]:
    names: tuple[str, ...] = task.classes  # type: ignore[attr-defined]
    findings = list[Finding]()
    counts = np.bincount(labels, minlength=len(names))
    rare = [repr(names[k]) for k in np.flatnonzero((counts > 0) & (counts < FOLDS))]
    if rare:
        text = f"labels of classes with fewer than {FOLDS} examples are not checked: {some(rare)}"
        findings.append(Finding(severity="note", text=text))
    checked = np.flatnonzero(counts[labels] >= FOLDS)
    labels, probabilities = labels[checked], probabilities[checked]
    joint, quality = confident_joint(labels, probabilities), label_quality.of_classes(labels, probabilities)
    wrong = joint.wrong(labels)
    wrong = wrong[np.argsort(quality[wrong], kind="stable")]
    faults = [
        FaultRow(
            kind="wrong label",
            origin=view.origin(checked[row]),
            score=float(quality[row]),
            given=names[labels[row]],
            likely=names[joint.confident[row]],
            detail=f"the probe gives '{names[labels[row]]}' {quality[row]:.1%}",
        )
        for row in wrong.tolist()
    ]
    if faults:
        findings.append(_told(faults, joint.share_wrong(view.seed)))
    pairs, told = _overlaps(joint, names, view.seed)
    return [*faults, *pairs], [*findings, *told]


def _told(faults: list[FaultRow], share: Share) -> Finding:
    such = ", ".join(f"{one.origin} ({one.given}, likely {one.likely})" for one in faults[:3])
    text = (
        f"{len(faults):,} labels look wrong, {in_percent(share)} of all by confident learning, such as {such}; where "
        "classes overlap, right ones are among them"
    )
    return Finding(severity="warning", text=text)


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
