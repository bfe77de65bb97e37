"""Suggesting labels: read pool and labelled examples, embed both by one backbone, choose, and show what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.bound_task import bound_task
from headstart.contracts.examples import Examples
from headstart.contracts.modality import InFiles, modality_named, raws_of
from headstart.engine.frozen.extract import Extracted
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.suggestions import Suggestion
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.kernel.settings import Settings
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.embed import embed
from headstart.pipeline.judge import shown_input
from headstart.pipeline.listing import listed
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared, ReadData, SeenData, bind_data, look_at, read_data, recognised
from headstart.pipeline.ready import staged
from headstart.pipeline.record import Shown
from headstart.pipeline.run_folder import RunFolder
from headstart.pipeline.suggestion_method import Known, choice_of, chosen, require_method
from headstart.pipeline.unusable import usable


class SuggestedRow(Shown):
    """An example worth a label."""

    reason: str
    inputs: dict[str, Any] = {}
    """Column -> value; of files their path. With a column of labels they are labelled data."""


class Suggestions(Settings):
    """Examples to label next, the most useful first."""

    name: str
    """Of the pool: its path."""
    headstart: str
    """Version that made them."""
    pool: int
    """Number of usable examples in the pool that are not labelled yet."""
    labelled: int
    """Number of labelled examples."""
    backbone: str
    method: str
    """'typical', 'covering' or 'uncertain'."""
    reason: str
    """Why that method."""
    rows: tuple[SuggestedRow, ...]
    notes: tuple[str, ...] = ()


class _Inputs(NamedTuple):
    """Inputs that went through the backbone, and what is to be known of those that did not."""

    examples: Examples
    rows: np.ndarray
    """(inputs,) which of those given have features."""
    features: np.ndarray
    """(inputs, width) float32."""
    notes: list[str]


def suggestions(
    pool: Any, labelled: Any, plan: Plan, count: int, method: str, run: RunFolder | None, reporter: Reporter
) -> Suggestions:
    """Choose `count` examples of a pool; `labelled` is None where there are no labels yet.

    Args:
        method: one of `METHODS`.
        run: the run whose data `labelled` are and whose model is asked of what it is unsure; a probe without it.

    Raises DataError, SettingsError or BackboneError as a fit does, and DataError where nothing of the pool is left.
    """
    require_method(method)
    seen, blank = _with_labels(_read(pool, labelled, plan, reporter), reporter)
    known = None if seen is None else seen.usable()
    unlabelled, keys, notes = _unlabelled(pool, known, plan, reporter)
    first = unlabelled if known is None else known.examples
    backbone, _, _ = choose_backbone(first, plan)
    backbone.learn_decoding([*([] if known is None else raws_of(known.examples)), *raws_of(unlabelled)])
    through = partial(embed, backbone, store=FeatureStore(), reporter=reporter, runner=plan.named_runner())
    free = _embedded(through, unlabelled, keys, "")
    if not len(free.rows):
        raise DataError(f"nothing of the pool is left to label: {'; '.join([*notes, *free.notes])}")
    taken = None if known is None else _embedded(through, known.examples, known.keys, "labelled ")
    data, why = (None, "there are no labels yet") if seen is None else _bound(seen, plan, backbone)
    labels = _known(taken, data, run, free)
    choice = choice_of(method, labels, why)
    found = chosen(choice.method, labels, free.examples, free.features, min(count, len(free.rows)), plan.seed)
    notes += [*free.notes, *([] if taken is None else taken.notes)]
    if blank:
        notes.append(f"Counted {blank:,} of the labelled data as unlabelled: they have no label")
    if count > len(found):
        notes.append(f"The pool has {len(found):,} examples to label, fewer than the {count:,} asked for")
    return Suggestions(
        name=plan.data,
        headstart=version("headstart"),
        pool=len(free.rows),
        labelled=0 if known is None else len(known.examples),
        backbone=backbone.name,
        method=choice.method,
        reason=choice.reason,
        rows=tuple(_rows(free.examples, found)),
        notes=tuple(notes),
    )


def _read(pool: Any, labelled: Any, plan: Plan, reporter: Reporter) -> SeenData | None:
    """Return the labelled data; without any the pool where it has the label column that is named, else None."""
    if labelled is not None:
        return read_data(labelled, plan, reporter)
    if plan.columns.label is None and not plan.columns.labels:
        return None
    try:
        return read_data(pool, plan, reporter)
    except DataError:  # a pool needs no labels; what else is wrong with it is found when its inputs are listed
        return None


def _with_labels(seen: SeenData | None, reporter: Reporter) -> tuple[SeenData | None, int]:
    """Return labelled data without the rows that have no label, None where none is left, and how many these are."""
    if seen is None:
        return None, 0
    examples = seen.examples
    labels = [examples.column(name) for name in examples.schema.targets.values()]
    rows = [row for row in range(len(examples)) if not all(_is_blank(column[row]) for column in labels)]
    if not labels or len(rows) == len(examples):
        return seen, 0
    return look_at(examples.take(rows), seen.seen, reporter) if rows else None, len(examples) - len(rows)


def _is_blank(label: Any) -> bool:
    return label is None or label != label or (isinstance(label, str) and not label.strip())


def _unlabelled(
    pool: Any, known: ReadData | None, plan: Plan, reporter: Reporter
) -> tuple[Examples, list[str], list[str]]:
    """Return the inputs of a pool that can be read and are not labelled, each once, their keys, and notes."""
    like = None if known is None else known.examples
    examples = listed(pool, plan.columns if like is None else recognised(plan.columns, like), plan, like)
    of_use, keys, useless = usable(examples, reporter)
    labelled, seen = frozenset[str](() if known is None else known.keys), dict[str, int]()
    again = copies = 0
    for row, key in enumerate(keys):
        again += key in labelled
        copies += key in seen
        if key not in labelled:
            seen.setdefault(key, row)
    counted = [(again, "labelled already"), (copies, "copies of others in it")]
    told = [
        f"Skipped {number:,} example{'s' if number > 1 else ''} of the pool: {what}"
        for number, what in counted
        if number
    ]
    notes = [*examples.notes, *_skipped(examples, useless, ""), *told]
    if not seen:
        raise DataError(f"nothing of the pool is left to label: {'; '.join(notes) or 'it is empty'}")
    return of_use.take(list(seen.values())), list(seen), notes


def _embedded(through: Callable[..., Extracted], examples: Examples, keys: Sequence[str], what: str) -> _Inputs:
    """Send inputs through the backbone; those that it cannot read or makes no numbers of are told."""
    found = through(examples, keys=keys)
    features = found.pooled()
    finite = np.isfinite(features).all(axis=1)
    strange = {int(row): "has features that hold NaN or infinite numbers" for row in found.rows[~finite]}
    rows = found.rows[finite]
    notes = _skipped(examples, {**found.failures, **strange}, what)
    return _Inputs(examples.take(rows), rows, features[finite], notes)


def _skipped(examples: Examples, failures: Mapping[int, str], what: str) -> list[str]:
    """Return a sentence on inputs that are passed over, if any, with the first of them."""
    if not failures:
        return []
    row, number = min(failures), len(failures)
    such = f"{number:,} {what}input{'s' if number > 1 else ''}, such as {examples.origins()[row]}"
    return [f"Skipped {such}: it {failures[row]}"]


def _known(taken: _Inputs | None, data: Prepared | None, run: RunFolder | None, free: _Inputs) -> Known:
    if taken is None:
        return Known(free.features[:0], free.rows[:0], None, None)
    return Known(taken.features, taken.rows, data, None if run is None else run.model)


def _bound(seen: SeenData, plan: Plan, backbone: Backbone) -> tuple[Prepared | None, str]:
    """Return the examples with labels as a task reads them; None where too little is labelled yet, and why."""
    try:
        begun = staged(seen, plan)
        task = bound_task(begun.task, begun.parts.read.examples, backbone)
        return bind_data(begun.parts, plan, task, DecisionLog()), ""
    except DataError as error:
        return None, f"the labels so far do not serve a probe: {error}"


def _rows(examples: Examples, chosen: Sequence[Suggestion]) -> list[SuggestedRow]:
    kind, some = modality_named(examples.schema.modality), examples.take([one.row for one in chosen])
    found = []
    for one, origin, raw, cells in zip(chosen, some.origins(), raws_of(some), some.table.to_pylist()):
        inputs = {name: cells[name] for name in some.schema.inputs}
        shown = shown_input(kind, raw)
        if isinstance(kind, InFiles):
            inputs = {name: str(raw.absolute()) for name in inputs if isinstance(raw, Path)}
        elif len(inputs) > 1:
            shown = {"text": ", ".join(f"{name}: {_cell(value)}" for name, value in inputs.items())}
        found.append(SuggestedRow(origin=origin, reason=one.reason, inputs=inputs, **shown))
    return found


def _cell(value: Any) -> str:
    return "missing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
