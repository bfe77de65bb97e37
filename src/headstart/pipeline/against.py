"""Data held against another set: what is in both, whether they differ, and of which kind the shift is.

Labels of the other set are read where it has any, in the way of the data's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.modality import modality_named, raws_of
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.shift import FEWEST, MOST
from headstart.evidence.shift_kind import Diagnosis, diagnose
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.numerics.few_threads import few_threads
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.compared_labels import class_numbers
from headstart.pipeline.data import name_of, reader_of
from headstart.pipeline.embed import embed
from headstart.pipeline.inspection import ClassShare, FaultRow, Finding, ShiftRow, ShiftTest
from headstart.pipeline.judge import shown_input
from headstart.pipeline.listing import listed
from headstart.pipeline.numbers import p_text
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import SeenData, recognised
from headstart.pipeline.unusable import usable

SHIFTED = 0.01
"""p-value up to which the inputs of two sets are said to differ."""

SHOWN = 12
"""Inputs of each set that are listed as least like the other's."""


def held_against(seen: SeenData, other: Any, plan: Plan, reporter: Reporter) -> tuple[ShiftRow | None, list[Finding]]:
    """Compare data with another set of the same kind; None where too few inputs are of use.

    Raises DataError as `listed`, BackboneError where none can be had.
    """
    name, mine = name_of(other), seen.usable()
    here = mine.examples
    read, found = _read(other, plan, here)
    there, keys, _ = usable(read, reporter)
    known = set(seen.keys)
    if both := sum(key in known for key in keys):
        text = f"{both:,} of {len(keys):,} inputs of {name} are in the data as well"
        found.append(Finding(severity="warning", text=text))
    if min(len(here), len(there)) < FEWEST:
        return None, [*found, _too_few(name, min(len(here), len(there)))]
    backbone, _, _ = choose_backbone(here, plan)
    ours, one = _features(backbone, here, mine.keys, plan, reporter)
    theirs, two = _features(backbone, there, keys, plan, reporter)
    if min(len(one), len(two)) < FEWEST:
        return None, [*found, _too_few(name, min(len(one), len(two)))]
    labels, others, names = class_numbers(ours, theirs, plan.task)
    with few_threads(one, two):
        told = diagnose(one, two, labels, others, names, plan.seed)
    row = _row(told, name, backbone.name, (labels, others), names)
    row = row.model_copy(update={"faults": (*_apart(told, ours, theirs, name),)})
    return row, [*found, _of_inputs(row), _of_kind(row)]


def _too_few(name: str, usable: int) -> Finding:
    text = f"not compared with {name}: {usable} usable inputs are fewer than {FEWEST}"
    return Finding(severity="note", text=text)


def _read(other: Any, plan: Plan, here: Examples) -> tuple[Examples, list[Finding]]:
    """The other set with its labels, or, where it has none that can be read, without them."""
    columns = recognised(plan.columns, here)
    why = "the data have no labels either"
    if here.schema.targets:
        try:
            source, reader = reader_of(other, plan.format, plan.settings.get("format", {}))
            found = reader.read(source, columns, labelled=True)
            if found.schema.modality == here.schema.modality:
                return found, []
            why = f"with labels it is read as {found.schema.modality} inputs"
        except DataError as error:
            why = str(error)
    found = listed(other, columns, plan, here)
    return found, [Finding(severity="note", text=f"{name_of(other)} is compared without labels: {why}")]


def _features(
    backbone: Backbone, examples: Examples, keys: Sequence[str | None], plan: Plan, reporter: Reporter
) -> tuple[Examples, np.ndarray]:
    """The examples with finite features, of `MOST` drawn ones where there are more, and their pooled features."""
    draws = np.random.default_rng(draw_seed(plan.seed, "compared inputs"))
    chosen = np.sort(draws.choice(len(examples), min(MOST, len(examples)), replace=False))
    found = embed(
        backbone,
        examples.take(chosen),
        keys=[keys[row] for row in chosen],
        store=FeatureStore(),
        reporter=reporter,
        runner=plan.named_runner(),
    )
    pooled = found.pooled()
    finite = np.isfinite(pooled).all(axis=1)
    return examples.take(chosen[found.rows[finite]]), pooled[finite]


def _row(
    told: Diagnosis, name: str, backbone: str, codes: tuple[np.ndarray | None, np.ndarray | None], names: Sequence[str]
) -> ShiftRow:
    mine, theirs = (np.empty(0, np.int64) if of is None else of[of >= 0] for of in codes)
    shares = []
    if told.mix is not None and told.black_box is not None:
        of_data, of_other = (np.bincount(of, minlength=len(names)) / max(len(of), 1) for of in (mine, theirs))
        for k, called in enumerate(names):
            share = ClassShare(
                name=called,
                data=float(of_data[k]),
                other=float(of_other[k]) if len(theirs) else None,
                estimated=float(told.mix.shares[k]),
                low=float(told.mix.low[k]),
                high=float(told.mix.high[k]),
                black_box=float(told.black_box[k]),
            )
            shares.append(share)
    return ShiftRow(
        against=name,
        backbone=backbone,
        **told.inputs._asdict(),
        labels=len(theirs),
        kind=told.kind,
        reason=told.reason,
        tests=tuple(ShiftTest(**one._asdict(), found=one.found) for one in told.questions),
        classes=tuple(shares),
        missing_classes=dict(told.missing_classes),
    )


def _apart(told: Diagnosis, mine: Examples, theirs: Examples, name: str) -> list[FaultRow]:
    """The inputs of each set that are least like the other's, where the inputs differ."""
    kind, found = modality_named(theirs.schema.modality), list[FaultRow]()
    if told.kind == "none":
        return found
    for region, examples in zip(told.regions, (theirs, mine)):
        unlike = "data" if examples is theirs else "other set"
        some = examples.take(region.rows[:SHOWN])
        for place, (origin, raw) in enumerate(zip(some.origins(), raws_of(some)), 1):
            shown = shown_input(kind, raw) if examples is theirs else {}  # those of the data are shown by the page
            detail = f"{place} of {len(some)}, the least like the {unlike} first"
            origin = f"{Path(name).name}: {origin}" if examples is theirs else origin
            found.append(FaultRow(kind=f"unlike the {unlike}", origin=origin, detail=detail, **shown))
    return found


def _of_inputs(row: ShiftRow) -> Finding:
    differs = row.p <= SHIFTED
    can = "tells" if differs else "cannot tell"
    who = f"a linear classifier on features of {row.backbone} {can} {row.examples:,} of each"
    figures = f"ROC AUC {row.auc:.2f}, {p_text(row.p)}, proxy A-distance {row.distance:.2f} of 2"
    if not differs:
        return Finding(severity="note", text=f"no shift found against {row.against}: {who} apart, {figures}")
    text = f"the inputs of {row.against} differ from the data: {who} apart, {figures}"
    return Finding(severity="warning", text=f"{text}; figures on one need not hold on the other")


def _of_kind(row: ShiftRow) -> Finding:
    least = ", ".join(f"{one.name} {p_text(one.corrected)}" for one in row.tests if one.found)
    evidence = f" ({least} of {len(row.tests)} tests, corrected)" if least else ""
    severity = "note" if row.kind == "none" else "warning"
    return Finding(severity=severity, text=f"kind of the shift to {row.against}: {row.kind}: {row.reason}{evidence}")
